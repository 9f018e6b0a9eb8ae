//! One-time codes (TOTP, RFC 6238) of a secret, for a time that the caller names. Reads no clock.

use totp_rs::{Algorithm, Builder};

use super::secret::Secret;

/// The code that a secret makes at a time: of the Base32 text that authenticator apps take, or of a whole
/// `otpauth://totp/…` URL. The error says what is wrong without showing any of it.
pub(super) fn of(secret: &Secret, unix_seconds: u64) -> Result<Secret, String> {
    let text = secret.expose().trim();
    let mut builder = Builder::new();
    let mut base32 = text.to_owned();
    if text.starts_with("otpauth:") {
        let url = url::Url::parse(text)
            .ok()
            .filter(|url| url.host_str() == Some("totp"))
            .ok_or("the secret is not an `otpauth://totp/…` URL")?;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "secret" => base32 = value.into_owned(),
                "digits" => builder = builder.with_digits(number(&value, 6, 8)?),
                "period" => builder = builder.with_step_duration(number(&value, 5, 255)?.into()),
                "algorithm" => builder = builder.with_algorithm(algorithm(&value)?),
                _ => {}
            }
        }
    }
    let base32: String = base32
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '='))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let key = totp_rs::Secret::try_from_base32(&base32)
        .ok()
        .filter(|_| !base32.is_empty())
        .ok_or("the secret is not the Base32 text of an authenticator app")?;
    // Sites hand out keys that are shorter than the RFC asks for, and their codes are needed all the same.
    let totp = builder.with_secret(key).build_noncompliant();
    Ok(Secret::new(totp.generate(unix_seconds).to_string()))
}

fn number(text: &str, least: u8, most: u8) -> Result<u8, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| "the secret's URL has digits or a period that can't be used".to_owned())
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    match name.to_ascii_uppercase().as_str() {
        "SHA1" => Ok(Algorithm::SHA1),
        "SHA256" => Ok(Algorithm::SHA256),
        "SHA512" => Ok(Algorithm::SHA512),
        _ => Err("the secret's URL names an algorithm that can't be used".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(secret: &str, unix_seconds: u64) -> Result<String, String> {
        of(&Secret::new(secret), unix_seconds).map(|code| code.expose().to_owned())
    }

    /// The key of RFC 6238, appendix B: `12345678901234567890`.
    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_vectors_of_the_rfc_are_reproduced() {
        for (unix_seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (20_000_000_000, "65353130"),
        ] {
            let url = format!("otpauth://totp/a:b?secret={KEY}&digits=8&issuer=a");
            assert_eq!(code(&url, unix_seconds), Ok(expected.to_owned()));
        }
        assert_eq!(code(KEY, 59), Ok("287082".to_owned()));
        assert_eq!(
            code("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 59),
            Ok("287082".to_owned())
        );
    }

    #[test]
    fn what_is_no_key_is_an_error_that_does_not_show_it() {
        for wrong in [
            "",
            "hunter22!",
            "otpauth://hotp/a?secret=GEZD",
            "otpauth://totp/a?secret=GEZD&digits=99",
        ] {
            let error = code(wrong, 0).expect_err("no key");
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
    }
}
