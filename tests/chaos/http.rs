//! One HTTP client for all that a test itself asks, on loopback only. One for all, since making one reads every
//! certificate of the machine.

use std::sync::OnceLock;

static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();

#[expect(
    clippy::disallowed_methods,
    reason = "what a test asks is on loopback, and its own"
)]
pub(crate) fn client() -> reqwest::Client {
    let make = || {
        let client = reqwest::Client::builder().no_proxy().build();
        client.expect("a client without anything special can be made")
    };
    CLIENT.get_or_init(make).clone()
}
