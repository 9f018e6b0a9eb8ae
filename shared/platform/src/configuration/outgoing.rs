//! Where browsers and webhooks may connect to.

use super::{Environment, SettingError};
use crate::addresses::AllowAddresses;

/// Settings of [`crate::socks_proxy`] and [`crate::guarded_http`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outgoing {
    /// `LEGWORK_ALLOW_ADDRESSES`: which addresses may be contacted beside public ones: `none` (the
    /// default), `loopback`, or `any`.
    pub allow_addresses: AllowAddresses,
}

impl Outgoing {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a variable holds something else than it should.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let allow = environment.parse(
            "LEGWORK_ALLOW_ADDRESSES",
            "none, loopback or any (default none)",
            |text| text.parse().ok(),
        )?;
        Ok(Self {
            allow_addresses: allow.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_allowed_unless_a_known_word_says_more() {
        let read = |value: &str| {
            let environment = Environment::from_iter([("LEGWORK_ALLOW_ADDRESSES", value)]);
            Outgoing::read(&environment).map(|outgoing| outgoing.allow_addresses)
        };
        assert_eq!(read(""), Ok(AllowAddresses::PublicOnly));
        assert_eq!(read("none"), Ok(AllowAddresses::PublicOnly));
        assert_eq!(read("loopback"), Ok(AllowAddresses::AndLoopback));
        assert_eq!(read("any"), Ok(AllowAddresses::Any));
        let error = read("ANY").expect_err("no such word");
        assert!(
            error.to_string().starts_with("LEGWORK_ALLOW_ADDRESSES is"),
            "{error}"
        );
    }
}
