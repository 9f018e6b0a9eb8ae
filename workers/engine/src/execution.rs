//! The way of one run through its states, and what is left behind when it ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use browser::{By, Condition, Locator, Screenshot};
use domain::definition::{Definition, Scope, Secret, Step, When};
use domain::wire::ArtifactType;
use domain::{Failure, FailureCode};
use serde_json::{Map, Value};

use crate::artifacts::{ArtifactNames, content_type};
use crate::failures::{Fault, Stop};
use crate::host::{ArtifactBody, Host, Interrupted, NewArtifact};
use crate::mask::Mask;
use crate::origins::AllowedOrigins;
use crate::resolution::{Resolved, resolve_condition};
use crate::run_log::{Entry, RunLog, milliseconds};
use crate::seam::Browser;

/// How long a step may take that doesn't say so.
const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the picture and the DOM of a failure may take.
const FAILURE_CAPTURE_TIMEOUT: Duration = Duration::from_secs(10);
/// How large a run's output may be, in bytes of JSON.
const MOST_OUTPUT_BYTES: usize = 64 * 1024;
/// How long the message of a failure may be, in characters.
const MOST_MESSAGE_CHARS: usize = 2_000;

/// What a run begins with.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The run's input, which its schema has accepted.
    pub input: Value,
    /// The values of the secrets, by the names that the definition uses.
    pub secrets: BTreeMap<String, Secret>,
    /// The outputs of the earlier workflows of the job run; an empty map outside of one.
    pub outputs: Value,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It did its work.
    Completed {
        /// What the definition's `output` names, if it names anything.
        output: Option<Value>,
    },
    /// There was nothing to do.
    NoAction {
        /// Why.
        reason: String,
    },
    /// It could not complete.
    Failed(Failure),
}

/// How a run ended, and where its time went.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// How long each state took that was entered, in order, with what it waited for a person and for storage.
    pub state_timings: Vec<(String, Duration)>,
    /// How long it waited for a person.
    pub awaiting_user: Duration,
    /// How long storing artifacts took.
    pub artifacts: Duration,
}

/// Executes a definition until it ends or is interrupted.
///
/// Everything that the run produced has been stored when this returns a report: the records, downloads and pictures of
/// its steps, a picture and the DOM if a step failed, and the run's log.
///
/// # Errors
/// The host said that the run must not go on here; then nothing more is stored.
pub async fn execute(
    definition: &Definition,
    inputs: Inputs,
    browser: &mut dyn Browser,
    host: &mut dyn Host,
) -> Result<Report, Interrupted> {
    let mut execution = Execution {
        scope: Scope::new(&inputs.input, &inputs.outputs, inputs.secrets),
        origins: None,
        browser,
        host,
        log: RunLog::begin(),
        names: ArtifactNames::default(),
        secret_fields: Vec::new(),
        state: None,
        position: None,
        state_timings: Vec::new(),
        awaiting_user: Duration::ZERO,
        artifacts: Duration::ZERO,
    };
    let outcome = match execution.run(definition).await {
        Ok(output) => Outcome::Completed { output },
        Err(Stop::NoAction { reason }) => Outcome::NoAction {
            reason: execution.mask().apply(&reason),
        },
        Err(Stop::Failed(fault)) => {
            let page = execution.capture_failure(&fault).await?;
            Outcome::Failed(execution.failure(fault, page.as_deref()))
        }
        Err(Stop::Interrupted(interrupted)) => return Err(interrupted),
    };
    execution.finish(outcome).await
}

/// A run on its way.
pub(crate) struct Execution<'e> {
    pub(crate) scope: Scope,
    pub(crate) origins: Option<AllowedOrigins>,
    pub(crate) browser: &'e mut dyn Browser,
    pub(crate) host: &'e mut dyn Host,
    log: RunLog,
    names: ArtifactNames,
    /// Fields into which a secret was filled: pictures cover them.
    pub(crate) secret_fields: Vec<Locator>,
    /// The state that was entered last.
    state: Option<CurrentState>,
    /// What is being executed, such as `signing_in/steps/2 (click)`.
    pub(crate) position: Option<String>,
    state_timings: Vec<(String, Duration)>,
    pub(crate) awaiting_user: Duration,
    artifacts: Duration,
}

/// A state that was entered.
struct CurrentState {
    name: String,
    began: Instant,
    limit: Option<Duration>,
    /// How long the run had waited for a person by then: that doesn't count against the limit.
    awaited_before: Duration,
}

impl Execution<'_> {
    async fn run(&mut self, definition: &Definition) -> Result<Option<Value>, Stop> {
        self.position = Some("allowedOrigins".to_owned());
        self.origins = Some(AllowedOrigins::resolve(
            &definition.allowed_origins,
            &self.scope,
        )?);
        for state in &definition.states {
            self.position = Some(format!("{}/when", state.name));
            if let Some(when) = &state.when
                && !self.check(when).await?
            {
                self.log.write(Entry {
                    event: "state_skipped",
                    state: Some(&state.name),
                    message: Some("its `when` does not hold"),
                    ..Entry::default()
                });
                continue;
            }
            self.host.enter_state(&state.name).await?;
            self.log.write(Entry {
                event: "state_entered",
                state: Some(&state.name),
                ..Entry::default()
            });
            let began = Instant::now();
            self.state = Some(CurrentState {
                name: state.name.clone(),
                began,
                limit: state.timeout,
                awaited_before: self.awaiting_user,
            });
            let result = self.execute_steps(&state.name, &state.steps).await;
            self.state_timings
                .push((state.name.clone(), began.elapsed()));
            result?;
        }
        self.position = Some("output".to_owned());
        self.output(definition)
    }

    /// Executes the steps of a state, or of a step, one after another. Their positions begin with `prefix`.
    pub(crate) async fn execute_steps(&mut self, prefix: &str, steps: &[Step]) -> Result<(), Stop> {
        for (index, step) in steps.iter().enumerate() {
            let id = step
                .id
                .as_ref()
                .map(|id| format!(" {id}"))
                .unwrap_or_default();
            let position = format!("{prefix}/steps/{index}{id} ({})", step.verb.name());
            self.position = Some(position.clone());
            let timeout = self.allow(step.timeout.unwrap_or(DEFAULT_STEP_TIMEOUT))?;
            self.execute_step(&position, step, timeout).await?;
        }
        Ok(())
    }

    async fn execute_step(
        &mut self,
        position: &str,
        step: &Step,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let began = Instant::now();
        let applies = match &step.when {
            Some(when) => self.check(when).await,
            None => Ok(true),
        };
        let result = match applies {
            Ok(true) => self
                .perform(&step.verb, position, timeout)
                .await
                .map(|()| "step_done"),
            Ok(false) => Ok("step_skipped"),
            Err(stop) => Err(stop),
        };
        let (event, message) = match &result {
            Ok(event) => (*event, None),
            Err(Stop::Failed(fault)) => ("step_failed", Some(fault.message.as_str())),
            Err(Stop::NoAction { reason }) => ("ended_with_no_action", Some(reason.as_str())),
            Err(Stop::Interrupted(_)) => ("interrupted", None),
        };
        self.log.write(Entry {
            event,
            state: self.state.as_ref().map(|state| state.name.as_str()),
            step: Some(position),
            duration_ms: Some(milliseconds(began.elapsed())),
            message,
        });
        result.map(|_| ())
    }

    /// Cuts a time-out down to what is left of the state's.
    pub(crate) fn allow(&self, timeout: Duration) -> Result<Duration, Stop> {
        let Some((state, limit)) = self
            .state
            .as_ref()
            .and_then(|state| Some((state, state.limit?)))
        else {
            return Ok(timeout);
        };
        let awaited = self.awaiting_user.saturating_sub(state.awaited_before);
        let left = limit.saturating_sub(state.began.elapsed().saturating_sub(awaited));
        if left.is_zero() {
            let message = format!(
                "the state `{}` took longer than {} ms",
                state.name,
                limit.as_millis()
            );
            return Err(Fault::passing(FailureCode::DeadlineExceeded, message).into());
        }
        Ok(timeout.min(left))
    }

    /// Checks what a state, a step or an `assert` depends on.
    pub(crate) async fn check(&mut self, when: &When) -> Result<bool, Stop> {
        let condition = match resolve_condition(&when.condition, &self.scope)? {
            Resolved::Known(value) => return Ok(value),
            Resolved::Page(condition) => condition,
        };
        match when.within {
            None => self.holds(&condition).await,
            Some(within) => match self.browser.wait_for(&condition, within).await {
                Ok(()) => Ok(true),
                Err(browser::Error::TimedOut { .. }) => Ok(false),
                Err(error) => Err(Fault::from_browser(&error, FailureCode::AssertionFailed).into()),
            },
        }
    }

    /// Checks a condition of the page once.
    pub(crate) async fn holds(&mut self, condition: &Condition) -> Result<bool, Stop> {
        let held = self.browser.holds(condition).await;
        held.map_err(|error| Fault::from_browser(&error, FailureCode::AssertionFailed).into())
    }

    /// Stores an artifact under a name that no other has.
    pub(crate) async fn store(
        &mut self,
        artifact_type: ArtifactType,
        wanted_name: &str,
        body: ArtifactBody,
    ) -> Result<(), Interrupted> {
        let name = self.names.claim(wanted_name);
        let content_type = match artifact_type {
            ArtifactType::Log => "application/x-ndjson",
            _ => content_type(&name),
        };
        let artifact = NewArtifact {
            artifact_type,
            name,
            content_type: content_type.to_owned(),
            body,
            state: self.state_name(),
        };
        let began = Instant::now();
        let stored = self.host.store_artifact(artifact).await;
        self.artifacts += began.elapsed();
        stored
    }

    /// What a picture shows: never a password, nor a field that holds a secret.
    pub(crate) fn picture(&self, full_page: bool, element: Option<Locator>) -> Screenshot {
        let password = Locator {
            by: By::Css("input[type=password]".to_owned()),
            exact: false,
            nth: None,
            within: None,
            frame: None,
        };
        Screenshot {
            full_page,
            element,
            mask: std::iter::once(password)
                .chain(self.secret_fields.clone())
                .collect(),
        }
    }

    fn state_name(&self) -> Option<String> {
        self.state.as_ref().map(|state| state.name.clone())
    }

    fn mask(&self) -> Mask {
        Mask::new(self.scope.secret_values())
    }

    fn output(&mut self, definition: &Definition) -> Result<Option<Value>, Stop> {
        if definition.output.is_empty() {
            return Ok(None);
        }
        let mut output = Map::new();
        for (name, template) in &definition.output {
            self.position = Some(format!("output/{name}"));
            output.insert(name.clone(), template.value(&self.scope)?);
        }
        let output = Value::Object(output);
        let size_bytes = output.to_string().len();
        if size_bytes > MOST_OUTPUT_BYTES {
            let message = format!(
                "the output has {size_bytes} bytes and may have {MOST_OUTPUT_BYTES}: what is larger belongs into an artifact"
            );
            return Err(Fault::lasting(FailureCode::WorkflowInvalid, message).into());
        }
        Ok(Some(output))
    }

    /// Leaves a picture and the DOM of the page on which a step failed, as far as the browser still can.
    /// Gives the page's URL, without what may be private in it.
    async fn capture_failure(&mut self, fault: &Fault) -> Result<Option<String>, Interrupted> {
        if fault.is_the_browsers_end() || self.state.is_none() {
            return Ok(None);
        }
        let picture = self.picture(false, None);
        let browser = &mut *self.browser;
        let captured = tokio::time::timeout(FAILURE_CAPTURE_TIMEOUT, async move {
            (
                browser.screenshot(&picture).await,
                browser.dom_snapshot().await,
                browser.url().await,
            )
        });
        let Ok((picture, dom, url)) = captured.await else {
            self.log.write(Entry {
                event: "capture_failed",
                message: Some("the browser gave neither picture nor DOM in time"),
                ..Entry::default()
            });
            return Ok(None);
        };
        if let Ok(png) = picture {
            self.store(
                ArtifactType::Screenshot,
                "failure.png",
                ArtifactBody::Bytes(png),
            )
            .await?;
        }
        if let Ok(dom) = dom {
            let body = ArtifactBody::Bytes(self.mask().apply(&dom).into_bytes());
            self.store(ArtifactType::Dom, "failure.html", body).await?;
        }
        Ok(url.ok().and_then(|url| without_query(&url)))
    }

    fn failure(&self, fault: Fault, page: Option<&str>) -> Failure {
        let page = page
            .filter(|page| fault.is_about_page && !fault.message.contains(page))
            .map(|page| format!(" (on {page})"))
            .unwrap_or_default();
        let message = self.mask().apply(&format!("{}{page}", fault.message));
        Failure {
            code: fault.code,
            message: message.chars().take(MOST_MESSAGE_CHARS).collect(),
            state: self.state_name(),
            step: self.position.clone(),
            retryable: fault.retryable,
            custom_code: fault.custom_code,
        }
    }

    /// Stores the log, and reports.
    async fn finish(mut self, outcome: Outcome) -> Result<Report, Interrupted> {
        let (event, message) = match &outcome {
            Outcome::Completed { .. } => ("completed", None),
            Outcome::NoAction { reason } => {
                ("completed_with_no_action_taken", Some(reason.as_str()))
            }
            Outcome::Failed(failure) => ("failed", Some(failure.message.as_str())),
        };
        self.log.write(Entry {
            event,
            message,
            ..Entry::default()
        });
        let log = std::mem::replace(&mut self.log, RunLog::begin()).into_text();
        let body = ArtifactBody::Bytes(self.mask().apply(&log).into_bytes());
        self.store(ArtifactType::Log, "log.jsonl", body).await?;
        Ok(Report {
            outcome,
            state_timings: self.state_timings,
            awaiting_user: self.awaiting_user,
            artifacts: self.artifacts,
        })
    }
}

/// A page's URL without user, query and fragment, in which tokens travel.
fn without_query(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(url::Url::has_host)?;
    Some(format!(
        "{}{}",
        url.origin().ascii_serialization(),
        url.path()
    ))
}
