//! A client of the API, as a customer's program would have one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::wire::RunView;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The client.
pub(crate) struct Client {
    http: reqwest::Client,
    api_url: String,
    key: String,
}

/// An artifact as the API shows it; what isn't used here is left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Artifact {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) artifact_type: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
    pub(crate) state_name: Option<String>,
    pub(crate) download_url: String,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

impl Client {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is a customer's side: it calls the API on loopback, or where it is told"
    )]
    pub(crate) fn new(api_url: &str, key: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            api_url: api_url.to_owned(),
            key: key.to_owned(),
        })
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.api_url))
            .bearer_auth(&self.key)
    }

    pub(crate) async fn set_secret(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let request = self
            .call(Method::PUT, &format!("/secrets/{name}"))
            .json(&json!({ "value": value }));
        checked(request).await?;
        Ok(())
    }

    /// Saves a workflow from its YAML; answers its id.
    pub(crate) async fn create_workflow(&self, yaml: &str) -> anyhow::Result<String> {
        let request = self
            .call(Method::POST, "/workflows")
            .header("content-type", "application/yaml")
            .body(yaml.to_owned());
        field(checked(request).await?, "id").await
    }

    /// Registers a webhook endpoint for some types of event; answers its signing secret.
    pub(crate) async fn create_webhook_endpoint(
        &self,
        url: &str,
        event_types: &[&str],
    ) -> anyhow::Result<String> {
        let body = json!({ "url": url, "eventTypes": event_types, "description": "legwork demo" });
        field(
            checked(self.call(Method::POST, "/webhook-endpoints").json(&body)).await?,
            "secret",
        )
        .await
    }

    pub(crate) async fn create_run(
        &self,
        body: &Value,
        idempotency_key: &str,
    ) -> anyhow::Result<RunView> {
        let request = self
            .call(Method::POST, "/workflow-runs")
            .header("idempotency-key", idempotency_key)
            .json(body);
        json_of(checked(request).await?).await
    }

    /// A run, unless it is still at the sequence that is known.
    pub(crate) async fn run(
        &self,
        id: &str,
        known: Option<u64>,
    ) -> anyhow::Result<Option<RunView>> {
        let mut request = self.call(Method::GET, &format!("/workflow-runs/{id}"));
        if let Some(sequence) = known {
            request = request.header("if-none-match", format!("\"{sequence}\""));
        }
        let answer = checked(request).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        json_of(answer).await.map(Some)
    }

    pub(crate) async fn answer(
        &self,
        id: &str,
        request_id: &str,
        values: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let body = json!({ "inputRequestId": request_id, "values": values });
        checked(
            self.call(Method::POST, &format!("/workflow-runs/{id}/user-input"))
                .json(&body),
        )
        .await?;
        Ok(())
    }

    pub(crate) async fn artifacts(&self, id: &str) -> anyhow::Result<Vec<Artifact>> {
        let request = self.call(Method::GET, &format!("/workflow-runs/{id}/artifacts"));
        let page: Page<Artifact> = json_of(checked(request).await?).await?;
        Ok(page.data)
    }

    /// Reads any URL, without the key: an artifact's, the practice site's, the receiver's.
    pub(crate) async fn fetch(&self, url: &str) -> anyhow::Result<Vec<u8>> {
        let answer = checked(self.http.get(url)).await?;
        Ok(answer
            .bytes()
            .await
            .with_context(|| format!("{url} broke off"))?
            .to_vec())
    }

    pub(crate) async fn fetch_json<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        serde_json::from_slice(&self.fetch(url).await?)
            .with_context(|| format!("{url} did not answer as expected"))
    }
}

async fn checked(request: RequestBuilder) -> anyhow::Result<Response> {
    let answer = request
        .send()
        .await
        .context("the request did not get through")?;
    let status = answer.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let url = answer.url().path().to_owned();
    let said = answer.text().await.unwrap_or_default();
    bail!("{url} answered {status}: {said}")
}

async fn json_of<T: DeserializeOwned>(answer: Response) -> anyhow::Result<T> {
    let bytes = answer.bytes().await.context("the answer broke off")?;
    serde_json::from_slice(&bytes).context("the answer is not what it should be")
}

async fn field(answer: Response, name: &str) -> anyhow::Result<String> {
    let value: Value = json_of(answer).await?;
    let text = value.get(name).and_then(Value::as_str);
    Ok(text
        .with_context(|| format!("the answer has no {name}"))?
        .to_owned())
}
