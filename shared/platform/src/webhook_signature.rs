//! Signatures of webhooks as Standard Webhooks 1.0 defines them: HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`, in a header that may hold several.
//!
//! It never reads a clock: the time is an argument. It never shows a secret, except by
//! [`Secret::reveal`], for the one answer in which a customer sees it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// How far a timestamp may be from the receiver's clock, either way, in seconds.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;

/// The names of the three headers, in lower case.
pub mod header {
    /// The delivery's id, the same for all its attempts.
    pub const ID: &str = "webhook-id";
    /// The attempt's time, in whole seconds since the Unix epoch.
    pub const TIMESTAMP: &str = "webhook-timestamp";
    /// The signatures, with spaces between them.
    pub const SIGNATURE: &str = "webhook-signature";
}

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
const GENERATED_BYTES: usize = 32;

/// The key that a webhook endpoint and we share. `Debug` doesn't show it.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

/// A text that is no webhook secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// Makes a new secret of 32 random bytes.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; GENERATED_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads a secret from its text, `whsec_` and base64; the prefix may be missing.
    ///
    /// # Errors
    /// [`InvalidSecret`], which doesn't repeat the text.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if (24..=64).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidSecret)
        }
    }

    /// The text that [`Secret::parse`] reads. It is the secret: never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Makes the value of the signature header: one signature for each secret, several while an
/// endpoint's secret is being rotated.
#[must_use]
pub fn sign(secrets: &[Secret], id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    let timestamp = timestamp_seconds.to_string();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let code = secret.mac(id, &timestamp, body).finalize().into_bytes();
            format!("{VERSION}{}", STANDARD.encode(code))
        })
        .collect();
    signatures.join(" ")
}

/// The values of the three headers, as they arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignedHeaders<'a> {
    /// Of [`header::ID`].
    pub id: &'a str,
    /// Of [`header::TIMESTAMP`].
    pub timestamp: &'a str,
    /// Of [`header::SIGNATURE`].
    pub signature: &'a str,
}

/// Why a webhook must not be trusted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum VerifyError {
    /// The timestamp is no whole number of seconds.
    #[error("{} is no number of seconds", header::TIMESTAMP)]
    MalformedTimestamp,
    /// The timestamp is too far in the past: perhaps somebody replays an old webhook.
    #[error("the webhook is older than {TOLERANCE_SECONDS} seconds")]
    TooOld,
    /// The timestamp is too far in the future: a clock is wrong.
    #[error("the webhook is more than {TOLERANCE_SECONDS} seconds in the future")]
    TooNew,
    /// No signature is one by this secret for this id, timestamp and body.
    #[error("no signature matches")]
    NoMatch,
}

/// Checks a webhook that has arrived; the body as its raw bytes. Codes are compared in constant
/// time, and signatures of other versions are passed over.
///
/// # Errors
/// [`VerifyError`]; a receiver drops the webhook then.
pub fn verify(
    secret: &Secret,
    headers: SignedHeaders<'_>,
    body: &[u8],
    now_seconds: i64,
) -> Result<(), VerifyError> {
    let timestamp: i64 = headers
        .timestamp
        .parse()
        .map_err(|_| VerifyError::MalformedTimestamp)?;
    let age = now_seconds.saturating_sub(timestamp);
    if age > TOLERANCE_SECONDS {
        return Err(VerifyError::TooOld);
    }
    if age < -TOLERANCE_SECONDS {
        return Err(VerifyError::TooNew);
    }
    let mac = secret.mac(headers.id, headers.timestamp, body);
    let matches = headers
        .signature
        .split(' ')
        .filter_map(|signature| signature.strip_prefix(VERSION))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|code| mac.clone().verify_slice(&code).is_ok());
    if matches {
        Ok(())
    } else {
        Err(VerifyError::NoMatch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The vector of the specification's own libraries.
    const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> Secret {
        Secret::parse(SECRET).expect("the vector's secret")
    }

    fn headers(signature: &str) -> SignedHeaders<'_> {
        SignedHeaders {
            id: ID,
            timestamp: "1614265330",
            signature,
        }
    }

    #[test]
    fn the_vector_of_the_specification_is_reproduced() {
        assert_eq!(sign(&[secret()], ID, TIMESTAMP, BODY), SIGNATURE);
        assert_eq!(
            verify(&secret(), headers(SIGNATURE), BODY, TIMESTAMP),
            Ok(())
        );
    }

    #[test]
    fn a_secret_reads_with_and_without_its_prefix_and_writes_with_it() {
        let text = format!("whsec_{SECRET}");
        assert_eq!(Secret::parse(&text), Ok(secret()));
        assert_eq!(secret().reveal(), text);
        let new = Secret::generate().expect("random bytes");
        assert_eq!(Secret::parse(&new.reveal()), Ok(new.clone()));
        assert_ne!(new, Secret::generate().expect("random bytes"));
    }

    #[test]
    fn a_secret_of_another_length_or_alphabet_is_refused() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_*",
            &STANDARD.encode([0; 65]),
        ] {
            assert_eq!(Secret::parse(text), Err(InvalidSecret), "{text}");
        }
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", secret()), "Secret(..)");
    }

    #[test]
    fn each_of_two_secrets_verifies_during_a_rotation_and_a_third_does_not() {
        let other = Secret(vec![1; 32]);
        let both = sign(&[other.clone(), secret()], ID, TIMESTAMP, BODY);
        assert_eq!(both.split(' ').count(), 2);
        for known in [other, secret()] {
            assert_eq!(verify(&known, headers(&both), BODY, TIMESTAMP), Ok(()));
        }
        let third = verify(&Secret(vec![2; 32]), headers(&both), BODY, TIMESTAMP);
        assert_eq!(third, Err(VerifyError::NoMatch));
    }

    #[test]
    fn a_timestamp_counts_within_five_minutes_either_way() {
        let at = |now| verify(&secret(), headers(SIGNATURE), BODY, now);
        assert_eq!(at(TIMESTAMP + 300), Ok(()));
        assert_eq!(at(TIMESTAMP - 300), Ok(()));
        assert_eq!(at(TIMESTAMP + 301), Err(VerifyError::TooOld));
        assert_eq!(at(TIMESTAMP - 301), Err(VerifyError::TooNew));
        let malformed = SignedHeaders {
            timestamp: "soon",
            ..headers(SIGNATURE)
        };
        assert_eq!(
            verify(&secret(), malformed, BODY, TIMESTAMP),
            Err(VerifyError::MalformedTimestamp)
        );
    }

    #[test]
    fn signatures_of_other_versions_and_broken_ones_are_passed_over() {
        let several = format!("v1a,AAAA v1,*** v1, {SIGNATURE}");
        assert_eq!(
            verify(&secret(), headers(&several), BODY, TIMESTAMP),
            Ok(())
        );
        let code = SIGNATURE.trim_start_matches("v1,");
        for wrong in ["", "v1,", code, &format!("v2,{code}"), &SIGNATURE[..20]] {
            assert_eq!(
                verify(&secret(), headers(wrong), BODY, TIMESTAMP),
                Err(VerifyError::NoMatch),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_any_other_body_does_not(
            key in proptest::collection::vec(any::<u8>(), 24..=64),
            body in proptest::collection::vec(any::<u8>(), 0..200),
            extra in any::<u8>(),
        ) {
            let secret = Secret(key);
            let signature = sign(std::slice::from_ref(&secret), ID, TIMESTAMP, &body);
            prop_assert_eq!(verify(&secret, headers(&signature), &body, TIMESTAMP), Ok(()));
            let changed = [body, vec![extra]].concat();
            prop_assert_eq!(
                verify(&secret, headers(&signature), &changed, TIMESTAMP),
                Err(VerifyError::NoMatch)
            );
        }
    }
}
