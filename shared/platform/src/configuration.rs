//! The settings of every process, read from the environment in one place, once, at the start.
//!
//! One struct for each concern; a process reads the ones that it needs. Settings become typed
//! values here or an error that names the variable, what was found and what is expected. Nothing
//! else in the workspace reads the environment, and nothing here reads it later again.

mod environment;
mod gateway;
mod limits;
mod logs;
mod outgoing;
mod resources;
mod runner;

pub use environment::{Environment, SettingError};
pub use gateway::Gateway;
pub use limits::Limits;
pub use logs::{LogFormat, Logs};
pub use outgoing::Outgoing;
pub use resources::Resources;
pub use runner::Runner;
