//! Everything that Legwork keeps: the table, the queues, the bucket and the keys. The only package that names AWS.
//!
//! docs/storage.md lists every entity with its keys. What is written here is written by conditional writes, and only
//! [`Store::commit_run`] commits a run's transition.

mod admission;
mod allowances;
mod answers;
mod api_keys;
mod artifacts;
mod clock;
mod connection;
mod deliveries;
mod due;
mod endpoints;
mod error;
mod idempotency;
mod item;
mod jobs;
mod keys;
mod leases;
mod lists;
#[cfg(feature = "local")]
pub mod local;
mod measures;
mod pages;
mod queues;
mod run_item;
mod runs;
mod secrets;
mod transactions;
mod workflow_versions;
mod workflows;

pub use admission::{JustNow, Room};
pub use allowances::{Allowance, AllowanceKind};
pub use api_keys::{
    ApiKey, ApiKeyText, CreatedApiKey, DeletedApiKey, MOST_API_KEYS, NewApiKey, Role,
};
pub use artifacts::{Artifact, ArtifactBody, NewArtifact, PresignedUrl};
pub use clock::{fresh_commit, fresh_id, fresh_random, next_commit, now};
pub use connection::{Connection, Store};
pub use deliveries::{Attempt, Delivery, DeliveryKey, DeliveryStatus};
pub use due::{DUE_SHARDS, DueItem, DueMark, DuePage};
pub use endpoints::{
    CreatedWebhookEndpoint, MOST_WEBHOOK_ENDPOINTS, NewWebhookEndpoint, WebhookEndpoint,
};
pub use error::{Result, StoreError};
pub use idempotency::{IdempotencyKey, Replay};
pub use jobs::{Job, JobWorkflow, NewJob};
pub use leases::Lease;
pub use lists::RunFilter;
pub use pages::{Page, PageSize, TimeWindow};
pub use queues::{Queue, QueueMessage, RunMessage};
pub use run_item::decode_run;
pub use runs::{Commit, CreatedRun, RunWithValues, Transition};
pub use secrets::SecretSummary;
pub use workflow_versions::{VersionSummary, WorkflowVersion};
pub use workflows::{NewVersion, NewWorkflow, SavedVersion, Workflow};
