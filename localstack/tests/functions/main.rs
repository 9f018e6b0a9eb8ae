//! The functions against the emulator, called one after the other with the events that Lambda would give them. No
//! poller runs, and no test sleeps: what was lost is lost because the test didn't hand it over.

mod admission;
mod allowances;
mod api;
mod api_keys;
mod api_log;
mod api_resources;
mod artifacts;
mod commits;
mod deliverer;
mod dispatcher;
mod gateway;
mod heartbeats;
mod jobs;
mod lists;
#[path = "../../../shared/platform/tests/nobody/mod.rs"]
mod nobody;
mod secrets;
mod setting;
mod sweeper;
mod workflows;
