//! What ARCHITECTURE.md says of the packages, their sources and template.yaml, as tests.
//!
//! They read manifests and texts only: they start nothing and reach nothing.

mod cloudformation;
mod operations;
mod packages;
mod repository;
mod sources;
mod template;
