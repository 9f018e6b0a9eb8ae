//! The proxy behind which a workflow wants its browser.

use domain::definition::{Definition, ProxyProtocol, WrongProxy};
use engine::Inputs;
use platform::upstream::{Credentials, Protocol, Upstream};

/// The upstream proxy of a run, if its definition names one.
///
/// # Errors
/// A template of it has no value for this run, or one that no proxy can have.
pub fn upstream(definition: &Definition, inputs: &Inputs) -> Result<Option<Upstream>, WrongProxy> {
    let Some(proxy) = &definition.proxy else {
        return Ok(None);
    };
    let proxy = proxy.of_run(&inputs.input, &inputs.outputs, &inputs.secrets)?;
    let protocol = match proxy.address.protocol {
        ProxyProtocol::Http => Protocol::Http,
        ProxyProtocol::Socks5 => Protocol::Socks5,
    };
    let credentials = proxy.credentials.map(|(username, password)| Credentials {
        username: username.expose().to_owned(),
        password: password.expose().to_owned(),
    });
    Ok(Some(Upstream {
        protocol,
        host: proxy.address.host,
        port: proxy.address.port,
        credentials,
    }))
}
