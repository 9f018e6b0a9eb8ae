//! The whole of Legwork on one machine: the emulator, the resources from template.yaml, the functions in this process,
//! the runners as child processes, the practice site and a webhook receiver.
//!
//! There is no second implementation of anything here: what runs is the code that runs on AWS, fed as AWS feeds it.

pub mod default_keys;
pub mod emulator;
pub mod fixture;
mod local_file;
mod occupation;
pub mod pollers;
pub mod resources;
mod runners;
mod stack;
mod webhook_receiver;

pub use local_file::LocalFile;
pub use resources::settings_of;
pub use runners::RunnerCommand;
pub use stack::{Stack, StackOptions};
pub use webhook_receiver::{ReceivedWebhook, router as webhook_receiver};

/// The one definition of the resources.
pub const TEMPLATE: &str = include_str!("../../template.yaml");
