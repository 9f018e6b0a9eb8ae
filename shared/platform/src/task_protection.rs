//! Says to ECS that this task must not be stopped now, by a scale-in or a deployment, because it is at work.
//!
//! The container agent answers at an address that ECS puts into the environment ("Amazon ECS task scale-in protection
//! endpoint" in AWS's documentation). The address is link-local on purpose, and nobody's but ECS's to choose, so the guard
//! of [`crate::guarded_http`] is not for it.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The agent's endpoint.
#[derive(Clone, Debug)]
pub struct TaskProtection {
    http: reqwest::Client,
    endpoint: String,
}

/// What the agent said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is as was asked.
    Done,
    /// A deployment waits until its old tasks may be stopped: protection is not given any more. ECS calls this reason
    /// `DEPLOYMENT_BLOCKED` ("API failure reasons").
    DeploymentWaits,
}

/// Why the protection is not as was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// The agent did not answer, or not in its form.
    #[error("the ECS agent did not answer")]
    Agent(#[from] reqwest::Error),
    /// The agent refused.
    #[error("ECS refused: {0}")]
    Refused(String),
}

impl TaskProtection {
    /// At the agent that `ECS_AGENT_URI` names.
    ///
    /// # Errors
    /// When there is no TLS to be had, which is never used here.
    pub fn new(agent: &Url) -> Result<Self, ProtectionError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the agent is link-local, and ECS gave its address"
        )]
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let agent = agent.as_str().trim_end_matches('/');
        Ok(Self {
            http,
            endpoint: format!("{agent}/task-protection/v1/state"),
        })
    }

    /// Protects the task for some time, which begins anew with each call.
    ///
    /// # Errors
    /// [`ProtectionError`]: the task may be stopped at any time, by SIGTERM as ever.
    pub async fn protect(&self, for_minutes: u32) -> Result<Answer, ProtectionError> {
        self.put(&json!({ "ProtectionEnabled": true, "ExpiresInMinutes": for_minutes }))
            .await
    }

    /// Protects the task no more.
    ///
    /// # Errors
    /// [`ProtectionError`]: the protection ends with its time.
    pub async fn release(&self) -> Result<Answer, ProtectionError> {
        self.put(&json!({ "ProtectionEnabled": false })).await
    }

    async fn put(&self, body: &Value) -> Result<Answer, ProtectionError> {
        let answer = self.http.put(&self.endpoint).json(body).send().await?;
        let body: Value = answer.json().await?;
        let said = |pointer: &str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if body
            .get("failure")
            .is_some_and(|failure| !failure.is_null())
        {
            return match said("/failure/Reason") {
                "DEPLOYMENT_BLOCKED" => Ok(Answer::DeploymentWaits),
                reason => Err(ProtectionError::Refused(format!(
                    "{reason} {}",
                    said("/failure/Detail")
                ))),
            };
        }
        if body.get("error").is_some_and(|error| !error.is_null()) {
            return Err(ProtectionError::Refused(format!(
                "{} {}",
                said("/error/Code"),
                said("/error/Message")
            )));
        }
        Ok(Answer::Done)
    }
}
