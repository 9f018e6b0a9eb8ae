//! What every process of Legwork needs from its surroundings: settings, logs, the signal to stop,
//! connections that can't be turned against our own network, webhook signatures, retry delays.
//!
//! Nothing here names AWS, and nothing here knows what a run is.

pub mod addresses;
pub mod configuration;
mod connecting;
pub mod guarded_http;
pub mod resolution;
pub mod retry;
pub mod shutdown;
pub mod socks_proxy;
pub mod task_protection;
pub mod telemetry;
pub mod upstream;
pub mod webhook_signature;
