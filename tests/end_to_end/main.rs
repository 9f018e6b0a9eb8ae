//! The whole way, as a user goes it: the executable, a real browser, the real API, queue, table, stream and webhooks.

mod canaries;
mod demo;
mod faults;
mod metrics;
mod poison;
#[expect(dead_code, reason = "the figures use what this doesn't")]
mod stack;
mod tenants;
