//! The proxy behind which a run's browser is: where it is, and what it is told of who asks.
//!
//! The browser is started before the engine begins, so the templates are evaluated apart from the engine's, and see
//! what there is by then: the input, the outputs of earlier workflows, and secrets.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::expression::{EvaluationError, SecretName};
use super::scope::Scope;
use super::secret::Secret;
use super::template::Template;

/// How long a user name or a password may be, in bytes: RFC 1929 has one byte for that.
const MOST_CREDENTIAL_BYTES: usize = 255;

/// What a definition says of a proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is.
    pub url: Template,
    /// The user name, which may hold secrets.
    pub username: Option<Template>,
    /// The password, which may hold secrets.
    pub password: Option<Template>,
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// HTTP's CONNECT.
    Http,
    /// SOCKS5.
    Socks5,
}

/// Where a proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// How it is spoken to.
    pub protocol: ProxyProtocol,
    /// Its name or its address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A run's proxy.
#[derive(Debug, Clone)]
pub struct RunProxy {
    /// Where it is.
    pub address: ProxyAddress,
    /// The user name and the password, if it is told any.
    pub credentials: Option<(Secret, Secret)>,
}

/// Why a run has no proxy, though its definition names one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongProxy {
    /// A template has no value.
    #[error("the browser's proxy: {0}")]
    Template(#[from] EvaluationError),
    /// A value is not what it must be. It is not shown, as it may be a secret.
    #[error("the browser's proxy: {0}")]
    Value(&'static str),
}

impl Proxy {
    /// Gives the proxy of a run with this input and these secrets.
    ///
    /// # Errors
    /// A template has no value, or one that no proxy can have.
    pub fn of_run(
        &self,
        input: &Value,
        outputs: &Value,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<RunProxy, WrongProxy> {
        let mut scope = Scope::new(input, outputs, secrets.clone());
        let address = ProxyAddress::parse(&self.url.text(&scope)?).map_err(WrongProxy::Value)?;
        // No time is needed, as no one-time codes are taken here.
        let mut text = |template: &Template| template.sensitive_text(&mut scope, 0);
        let credentials = match &self.username {
            None => None,
            Some(username) => {
                let username = text(username)?;
                let password = self.password.as_ref().map(text).transpose()?;
                Some((username, password.unwrap_or_else(|| Secret::new(""))))
            }
        };
        if let Some((username, password)) = &credentials {
            let (username, password) = (username.expose(), password.expose());
            if username.is_empty() || username.len().max(password.len()) > MOST_CREDENTIAL_BYTES {
                return Err(WrongProxy::Value(
                    "`username` has 1 to 255 bytes, and `password` at most 255",
                ));
            }
            if address.protocol == ProxyProtocol::Http && username.contains(':') {
                return Err(WrongProxy::Value(
                    "`username` can't have a colon, which ends it in HTTP",
                ));
            }
        }
        Ok(RunProxy {
            address,
            credentials,
        })
    }

    /// Whether a credential is made of a one-time code.
    pub(super) fn has_one_time_code(template: &Template) -> bool {
        template
            .expressions()
            .any(|expression| matches!(expression.secret(), Some(SecretName::OneTimeCode(_))))
    }
}

impl ProxyAddress {
    /// Reads a URL. The error doesn't repeat it, as somebody may have put a password into it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str =
            "`url` is `http://HOST:PORT` or `socks5://HOST:PORT`, and nothing after that";
        let url = Url::parse(text).map_err(|_| WANTED)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "credentials don't belong into `url`, but into `username` and `password` beside it, which may be secrets",
            );
        }
        let (protocol, usual_port) = match url.scheme() {
            "http" => (ProxyProtocol::Http, 80),
            "socks5" => (ProxyProtocol::Socks5, 1080),
            _ => return Err(WANTED),
        };
        let is_bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().unwrap_or_default();
        if !is_bare || host.is_empty() || url.port() == Some(0) {
            return Err(WANTED);
        }
        Ok(Self {
            protocol,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(usual_port),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Definition, Rule, ValidationError};
    use super::*;

    fn definition(proxy: &str) -> Result<Definition, Vec<ValidationError>> {
        Definition::parse_yaml(&format!(
            "name: Test\nbrowser: {{ proxy: {proxy} }}\nstates: [{{ name: a, steps: [{{ click: a }}] }}]"
        ))
    }

    fn rule(proxy: &str) -> Rule {
        let errors = definition(proxy).expect_err(proxy);
        assert_eq!(errors.len(), 1, "{proxy}: {errors:?}");
        assert!(!errors[0].message.contains("hunter22"), "{errors:?}");
        errors[0].rule
    }

    fn of_run(proxy: &str) -> Result<RunProxy, WrongProxy> {
        let definition = definition(proxy).expect(proxy);
        let input = json!({
            "country": "nl",
            "url": "socks5://[2001:db8::1]",
            "wrong": "http://user:hunter22@proxy.test:3128",
            "long": "x".repeat(256),
        });
        let secrets = BTreeMap::from([
            ("user".to_owned(), Secret::new("us:er")),
            ("password".to_owned(), Secret::new("hunter22")),
        ]);
        let proxy = definition.proxy.as_ref().expect("a proxy");
        proxy.of_run(&input, &json!({}), &secrets)
    }

    #[test]
    fn a_runs_proxy_has_the_values_of_its_input_and_its_secrets() {
        let proxy = of_run(
            "{ url: 'http://Proxy.test:3128', username: 'me-{{ input.country }}', password: '{{ secrets.password }}' }",
        )
        .expect("a proxy");
        let address = ProxyAddress {
            protocol: ProxyProtocol::Http,
            host: "proxy.test".to_owned(),
            port: 3128,
        };
        assert_eq!(proxy.address, address);
        let (username, password) = proxy.credentials.expect("credentials");
        assert_eq!(
            (username.expose(), password.expose()),
            ("me-nl", "hunter22")
        );
        let proxy = of_run("{ url: '{{ input.url }}', username: '{{ secrets.user }}' }");
        let proxy = proxy.expect("a proxy");
        assert_eq!(
            (proxy.address.host.as_str(), proxy.address.port),
            ("2001:db8::1", 1080)
        );
        let (username, password) = proxy.credentials.expect("credentials");
        assert_eq!((username.expose(), password.expose()), ("us:er", ""));
    }

    #[test]
    fn the_secrets_of_a_proxy_are_secrets_of_the_definition() {
        let definition =
            definition("{ url: 'http://a.test', username: u, password: '{{ secrets.password }}' }");
        let definition = definition.expect("a definition");
        assert!(definition.secret_names().contains("password"));
    }

    #[test]
    fn what_no_proxy_can_be_told_is_refused_and_not_shown() {
        for wrong in [
            "{ url: '{{ input.wrong }}' }",
            "{ url: '{{ input.nothing }}' }",
            "{ url: 'socks5://a.test', username: '{{ input.long }}' }",
            "{ url: 'socks5://a.test', username: '' }",
            "{ url: 'http://a.test', username: '{{ secrets.user }}', password: '{{ secrets.password }}' }",
            "{ url: 'http://a.test', username: '{{ secrets.missing }}' }",
        ] {
            let why = of_run(wrong).expect_err(wrong).to_string();
            for secret in ["hunter22", "us:er"] {
                assert!(!why.contains(secret), "{why}");
            }
        }
    }

    #[test]
    fn what_is_known_to_be_wrong_with_a_proxy_is_said_beforehand() {
        for url in [
            "proxy.test:3128",
            "https://proxy.test",
            "socks4://proxy.test",
            "http://proxy.test/path",
            "http://proxy.test?a=b",
            "socks5://",
            "http://proxy.test:0",
            "http://user:hunter22@proxy.test",
            "socks5://user@proxy.test",
        ] {
            assert_eq!(rule(&format!("{{ url: '{url}' }}")), Rule::BadUrl, "{url}");
        }
        let errors = definition("{ url: 'http://user:hunter22@proxy.test' }").expect_err("wrong");
        assert!(
            errors[0].message.contains("`username` and `password`"),
            "{errors:?}"
        );
        assert_eq!(
            rule("{ url: 'http://a.test/{{ secrets.x }}' }"),
            Rule::SecretUse
        );
        for (username, broken) in [
            ("{{ totp(secrets.x) }}", Rule::SecretUse),
            ("{{ secrets.x | upper }}", Rule::SecretUse),
            ("{{ answers.x }}", Rule::UnknownAnswer),
            ("{{ later }}", Rule::UnknownVariable),
        ] {
            let proxy = format!("{{ url: 'http://a.test', username: '{username}' }}");
            assert_eq!(rule(&proxy), broken, "{username}");
        }
        assert_eq!(
            rule("{ url: 'http://a.test', password: x }"),
            Rule::KeysConflict
        );
        assert_eq!(rule("{ username: x }"), Rule::MissingKey);
        assert_eq!(rule("'http://a.test'"), Rule::WrongKind);
    }
}
