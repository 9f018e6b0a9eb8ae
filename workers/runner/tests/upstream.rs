//! A run's browser behind the proxy that its workflow names: what it reaches, it reaches through that proxy, and what
//! may not be reached isn't.

#[path = "../../../shared/platform/tests/connect_proxy/mod.rs"]
mod connect_proxy;

use std::time::Duration;

use connect_proxy::{AUTHORIZATION, ConnectProxy};
use domain::definition::{BrowserSettings, Definition, Secret};
use platform::addresses::AllowAddresses;
use platform::configuration::{Environment, Runner as Settings};
use platform::socks_proxy::Failure;
use platform::upstream::{Upstream, UpstreamFailure};
use runner::{Session, Sessions, chromium};
use serde_json::json;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(30);

/// Browsers of which none is started ahead.
async fn sessions(scratch: &tempfile::TempDir, allow: AllowAddresses) -> Box<dyn Sessions> {
    let executable = browser::find_or_install(&mut |_| {})
        .await
        .expect("a browser");
    let settings = Settings::read(&Environment::from_iter([
        ("LEGWORK_BROWSER_POOL", "0"),
        (
            "LEGWORK_SCRATCH_DIR",
            scratch.path().to_str().expect("text"),
        ),
        ("LEGWORK_CHROMIUM", executable.to_str().expect("text")),
    ]))
    .expect("settings");
    chromium(&settings, allow).expect("browsers")
}

/// The upstream proxy of a run whose secret has this value.
fn upstream(proxy: &ConnectProxy, password: &str) -> Option<Upstream> {
    let definition = Definition::parse_json(&json!({
        "name": "Test",
        "browser": {"proxy": {
            "url": "http://localhost:{{ input.port }}",
            "username": "{{ input.user }}",
            "password": "{{ secrets.proxy_password }}",
        }},
        "states": [{"name": "a", "steps": [{"click": "a"}]}],
    }))
    .expect("a definition");
    let inputs = engine::Inputs {
        input: json!({"port": proxy.address.port(), "user": "me"}),
        secrets: [("proxy_password".to_owned(), Secret::new(password))].into(),
        outputs: json!({}),
    };
    runner::upstream(&definition, &inputs).expect("a proxy")
}

async fn open(sessions: &dyn Sessions, upstream: Option<Upstream>) -> Session {
    let settings = BrowserSettings::default();
    let opened = sessions.open(&settings, upstream).await;
    opened.expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_reached_through_the_upstream_and_a_refused_address_stays_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let page = axum::routing::get(|| async { axum::response::Html("<p>practice site</p>") });
    let router = axum::Router::new().route("/page", page);
    let mut site = tokio::task::JoinSet::new();
    site.spawn(async move { axum::serve(listener, router).await });
    let proxy = ConnectProxy::start(Some(AUTHORIZATION)).await;
    let scratch = tempfile::tempdir().expect("a folder");
    let sessions = sessions(&scratch, AllowAddresses::AndLoopback).await;

    let mut session = open(sessions.as_ref(), upstream(&proxy, "hunter22")).await;
    let url = format!("http://localhost:{port}/page");
    let loaded = session.browser.goto(&url, PATIENCE).await;
    loaded.expect("the page is reached");
    let dom = session.browser.dom_snapshot().await.expect("a document");
    assert!(dom.contains("practice site"), "{dom}");
    let through = proxy.asked();
    assert!(!through.is_empty());
    let checked = format!("127.0.0.1:{port}");
    assert!(through.iter().all(|asked| *asked == checked), "{through:?}");

    for host in ["169.254.169.254", "10.0.0.1"] {
        let refused = format!("http://{host}/");
        let loaded = session.browser.goto(&refused, PATIENCE).await;
        loaded.expect_err("it is refused");
        let failure = session.held.failure_of(host, 80).expect("its failure");
        assert!(matches!(failure, Failure::Blocked(_)), "{failure}");
    }
    assert!(proxy.asked().iter().all(|asked| *asked == checked));
    session.held.close().await;

    let mut session = open(sessions.as_ref(), upstream(&proxy, "wrong")).await;
    let loaded = session.browser.goto(&url, PATIENCE).await;
    loaded.expect_err("the proxy wants another password");
    let failure = session.held.failure_of("localhost", port);
    assert_eq!(
        failure,
        Some(Failure::Upstream(UpstreamFailure::CredentialsRejected))
    );
    session.held.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_on_loopback_is_not_contacted_where_loopback_is_not_allowed() {
    let proxy = ConnectProxy::start(None).await;
    let scratch = tempfile::tempdir().expect("a folder");
    let sessions = sessions(&scratch, AllowAddresses::PublicOnly).await;
    let mut session = open(sessions.as_ref(), upstream(&proxy, "hunter22")).await;
    let loaded = session.browser.goto("http://93.184.215.14/", PATIENCE);
    loaded.await.expect_err("the proxy is refused");
    let failure = session.held.failure_of("93.184.215.14", 80);
    let failure = failure.expect("its failure");
    assert!(failure.is_refusal(), "{failure}");
    assert!(proxy.asked().is_empty());
    session.held.close().await;
}
