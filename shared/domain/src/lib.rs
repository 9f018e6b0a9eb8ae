//! The words of Legwork as types: runs and their transitions, workflows and their definition, what the wire shows.
//!
//! Nothing in here does I/O, reads a clock or makes a random number: `now` and fresh ids are arguments.

pub mod admission;
pub mod definition;
mod failure;
mod ids;
pub mod input_schema;
pub mod job_run;
#[cfg(feature = "openapi")]
mod openapi;
pub mod recording;
pub mod run;
mod time;
pub mod webhook;
pub mod wire;

pub use failure::{Failure, FailureCode};
pub use ids::{
    ApiKeyId, ArtifactId, DeliveryId, InputRequestId, InvalidId, JobId, JobRunId, OrganizationId,
    RunId, WebhookEndpointId, WorkflowId,
};
pub use time::Timestamp;
