//! A customer's program: asks for runs, answers their questions, and asks again when it got no answer, as the API's
//! documents say that a program should.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use domain::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::chaos::http;
use crate::chaos::world::{Answer, World};

/// How long it waits before it asks again; each time twice as long, up to the longest.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(50);
const ASKS_AGAIN_AT_LEAST: Duration = Duration::from_secs(1);

/// How long it waits for an answer: a connection that a killed API left half open must not hold it for ever.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// How soon it looks at a run again, where it looks: each time half as soon, down to the last, until the run has changed.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(100);
const LOOKS_AGAIN_AT_LEAST: Duration = Duration::from_secs(2);

/// The same for who is to answer a question that is not open for long.
const LOOKS_AGAIN_SOON: Duration = Duration::from_millis(300);

/// The code that it was sent to its phone.
const CODE: &str = "123456";

/// A program with a key to the API.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    http: reqwest::Client,
    /// Where the API is; it may move when it is started again.
    api: watch::Receiver<String>,
    key: String,
}

/// How a customer learns that a run asks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learns {
    /// From the webhooks alone.
    ByWebhook,
    /// By looking at the run.
    ByPolling,
}

/// When a customer answers a question.
#[derive(Clone, Copy)]
pub(crate) enum Answers<'w> {
    AtOnce,
    /// Once this holds.
    When(&'w (dyn Fn() -> bool + Sync)),
    /// So long before the question's time is over, by its own clock.
    AtTheLastMoment(Duration),
    Never,
}

impl Answers<'_> {
    /// Waits until it is time to answer a question; answers whether it ever is.
    async fn wait(self, request: &Value) -> anyhow::Result<bool> {
        match self {
            Self::AtOnce => {}
            Self::When(may_answer) => {
                while !may_answer() {
                    tokio::time::sleep(ASKS_AGAIN_AFTER).await;
                }
            }
            Self::AtTheLastMoment(before) => {
                let expires_at: Timestamp = serde_json::from_value(request["expiresAt"].clone())?;
                let left = expires_at.since(store::now());
                tokio::time::sleep(left.saturating_sub(before)).await;
            }
            Self::Never => return Ok(false),
        }
        Ok(true)
    }
}

impl Customer {
    pub(crate) fn new(api: watch::Receiver<String>, key: String) -> Self {
        Self {
            http: http::client(),
            api,
            key,
        }
    }

    /// Calls the API until it gives an answer that isn't about itself; answers status and body.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let mut wait = ASKS_AGAIN_AFTER;
        loop {
            let url = format!("{}{path}", *self.api.borrow());
            let mut request = self
                .http
                .request(method.parse()?, url)
                .timeout(ANSWERED_WITHIN)
                .bearer_auth(&self.key);
            if let Some(key) = idempotency_key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Ok(answer) = request.send().await {
                let status = answer.status().as_u16();
                if let Ok(body) = answer.bytes().await
                    && status < 500
                    && status != 429
                {
                    return Ok((status, serde_json::from_slice(&body).unwrap_or_default()));
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASKS_AGAIN_AT_LEAST);
        }
    }

    /// Asks for a run, under one idempotency key however often it asks; answers its id.
    pub(crate) async fn create_run(
        &self,
        idempotency_key: &str,
        body: &Value,
    ) -> anyhow::Result<String> {
        let (status, run) = self
            .call("POST", "/workflow-runs", Some(idempotency_key), Some(body))
            .await?;
        anyhow::ensure!(status == 201, "the run was not created: {status} {run}");
        id_of(&run)
    }

    /// Cancels a run. That it has ended already is what becomes of asking again after a lost answer.
    pub(crate) async fn cancel(&self, run_id: &str) -> anyhow::Result<()> {
        let path = format!("/workflow-runs/{run_id}/cancel");
        let (status, answer) = self.call("POST", &path, None, None).await?;
        anyhow::ensure!(
            matches!(status, 200 | 409),
            "the run was not cancelled: {status} {answer}"
        );
        Ok(())
    }

    /// Has a run that has ended made again, under one idempotency key however often it asks; answers the new one's id.
    pub(crate) async fn retry(
        &self,
        idempotency_key: &str,
        run_id: &str,
    ) -> anyhow::Result<String> {
        let path = format!("/workflow-runs/{run_id}/retry");
        let (status, run) = self
            .call("POST", &path, Some(idempotency_key), None)
            .await?;
        anyhow::ensure!(status == 201, "the run was not retried: {status} {run}");
        id_of(&run)
    }

    /// Waits until there is a run: those of a job run are not made by whoever starts it.
    pub(crate) async fn await_run(&self, run_id: &str) -> anyhow::Result<()> {
        let path = format!("/workflow-runs/{run_id}");
        while self.call("GET", &path, None, None).await?.0 == 404 {
            tokio::time::sleep(LOOKS_AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Waits for the webhook that says that a run asks a person.
    pub(crate) async fn await_question(&self, world: &World, run_id: &str) -> anyhow::Result<()> {
        let mut arrivals = world.arrivals();
        loop {
            arrivals.borrow_and_update();
            if told_of(world, run_id).any(|run| run["status"] == "AWAITING_USER_INPUT") {
                return Ok(());
            }
            arrivals.changed().await.context("the world has ended")?;
        }
    }

    /// Answers every question of a run, once each if ever, until it has ended.
    pub(crate) async fn accompany(
        &self,
        world: &World,
        run_id: &str,
        learns: Learns,
        answers: Answers<'_>,
    ) -> anyhow::Result<()> {
        let mut arrivals = world.arrivals();
        let mut asked = HashSet::new();
        let (mut last_seen, mut wait) = (Value::Null, LOOKS_AGAIN_AFTER);
        let longest = match answers {
            Answers::AtTheLastMoment(_) => LOOKS_AGAIN_SOON,
            _ => LOOKS_AGAIN_AT_LEAST,
        };
        loop {
            let runs = match learns {
                Learns::ByWebhook => {
                    arrivals.borrow_and_update();
                    told_of(world, run_id).collect()
                }
                Learns::ByPolling => {
                    let path = format!("/workflow-runs/{run_id}");
                    let (status, run) = self.call("GET", &path, None, None).await?;
                    anyhow::ensure!(status == 200, "the run can't be read: {status} {run}");
                    vec![run]
                }
            };
            for run in &runs {
                let request = &run["inputRequest"];
                if run["status"] == "AWAITING_USER_INPUT"
                    && let Some(id) = request["id"].as_str()
                    && asked.insert(id.to_owned())
                    && answers.wait(request).await?
                {
                    self.answer(world, run, request).await?;
                }
            }
            if runs.iter().any(|run| !run["completedAt"].is_null()) {
                return Ok(());
            }
            match learns {
                Learns::ByWebhook => arrivals.changed().await.context("the world has ended")?,
                Learns::ByPolling => {
                    let seen = runs.first().map(|run| run["sequence"].clone());
                    wait = if seen.as_ref() == Some(&last_seen) {
                        (wait * 2).min(longest)
                    } else {
                        LOOKS_AGAIN_AFTER
                    };
                    last_seen = seen.unwrap_or_default();
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Answers one question. That it is taken already is what becomes of asking again after a lost answer, and that the
    /// run has moved on is its right.
    async fn answer(&self, world: &World, run: &Value, request: &Value) -> anyhow::Result<()> {
        let run_id = id_of(run)?;
        let field = &request["fields"][0]["name"];
        let field = field.as_str().context("a question has a field")?;
        let body = json!({ "inputRequestId": request["id"], "values": { field: CODE } });
        let path = format!("/workflow-runs/{run_id}/user-input");
        let (status, answer) = self.call("POST", &path, None, Some(&body)).await?;
        anyhow::ensure!(
            matches!(status, 200 | 409),
            "the answer was not taken: {status} {answer}"
        );
        world.note(Answer {
            run_id,
            asked_at: run["sequence"].as_u64().unwrap_or_default(),
            is_accepted: status == 200,
        });
        Ok(())
    }
}

/// The run as each webhook about it has it.
fn told_of(world: &World, run_id: &str) -> impl Iterator<Item = Value> {
    let webhooks = world.webhooks().into_iter();
    webhooks
        .filter_map(|webhook| serde_json::from_str::<Value>(&webhook.body).ok())
        .map(|mut body| body["data"].take())
        .filter(move |run| run["id"] == run_id)
}

pub(crate) fn id_of(resource: &Value) -> anyhow::Result<String> {
    let id = resource["id"].as_str().context("a resource has an id")?;
    Ok(id.to_owned())
}
