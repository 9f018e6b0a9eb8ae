//! The functions against the emulator, called one after the other with the events that Lambda would give them. No
//! poller runs, and no test sleeps: what was lost is lost because the test didn't hand it over.

mod api;
mod deliverer;
mod dispatcher;
mod jobs;
mod setting;
mod sweeper;
