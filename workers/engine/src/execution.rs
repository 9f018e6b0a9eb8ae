//! The way of one run through its states, and what is left behind when it ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use browser::{Condition, Locator, Screenshot};
use domain::definition::{self, Definition, KeepHar, Scope, Secret, State, Step, When};
use domain::run::SkippedState;
use domain::wire::ArtifactType;
use domain::{Failure, FailureCode};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::artifacts::{ArtifactNames, content_type};
use crate::failures::{Fault, Stop};
use crate::flow::waits;
use crate::host::{ArtifactBody, Cut, Host, Interrupted, NewArtifact};
use crate::mask::{Mask, Masking};
use crate::origins::AllowedOrigins;
use crate::resolution::{Resolved, Resolver};
use crate::run_log::{Entry, Note, RunLog, milliseconds};
use crate::seam::Browser;

/// How long a step may take that doesn't say so.
const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the picture and the DOM of a failure may take.
const FAILURE_CAPTURE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the final states of a run that was cut may take.
pub const CLEANING_UP: Duration = Duration::from_secs(30);
/// How large a run's output may be, in bytes of JSON.
const MOST_OUTPUT_BYTES: usize = 64 * 1024;
/// How long a text for a person may be that the run's item keeps, in characters: what is too large for an item can't be
/// committed, and the run would seem to have lost its worker.
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
    /// The states that were skipped after the last one that was entered.
    pub skipped: Vec<SkippedState>,
}

/// Executes a definition until it ends, is cut or is interrupted.
///
/// Everything that the run produced has been stored when this returns a report: the records, downloads and pictures of
/// its steps, a picture and the DOM if a step failed, and the run's log.
///
/// When `cut` ends, the run ends, whatever it is doing; its final states are executed all the same, without anything
/// being committed or stored, and for [`CLEANING_UP`] at most.
///
/// # Errors
/// The host said that the run must not go on here, or it was cancelled; then nothing more is stored.
pub async fn execute(
    definition: &Definition,
    inputs: Inputs,
    browser: &mut dyn Browser,
    host: &mut dyn Host,
    cut: impl Future<Output = Cut> + Send,
) -> Result<Report, Interrupted> {
    let mut cut = std::pin::pin!(cut);
    let mut execution = Execution {
        scope: Scope::new(&inputs.input, &inputs.outputs, inputs.secrets),
        origins: None,
        browser,
        host,
        log: RunLog::begin(),
        names: ArtifactNames::default(),
        keeps_artifacts: definition.uploads_artifacts(),
        kept: HashMap::new(),
        secret_fields: Vec::new(),
        elements: BTreeMap::new(),
        frame: None,
        state: None,
        limits: Vec::new(),
        position: None,
        masking: Masking::default(),
        typed: Vec::new(),
        is_concealing: false,
        note: Note::default(),
        is_over: false,
        skipped: Vec::new(),
        final_states_ended: 0,
        state_began: None,
        state_timings: Vec::new(),
        awaiting_user: Duration::ZERO,
        artifacts: Duration::ZERO,
    };
    execution.renew_mask();
    if definition.har != KeepHar::Never {
        let redaction = execution.masking.redaction();
        execution.browser.begin_har(redaction).await;
    }
    let ended = tokio::select! {
        biased;
        cut = &mut cut => return execution.cut(definition, cut).await,
        ended = execution.run(definition) => ended,
    };
    let outcome = execution.outcome(ended).await?;
    let outcome = tokio::select! {
        biased;
        cut = &mut cut => return execution.cut(definition, cut).await,
        outcome = execution.run_final_states(definition, outcome) => outcome?,
    };
    execution.finish(definition, outcome).await
}

/// A run on its way.
pub(crate) struct Execution<'e> {
    pub(crate) scope: Scope,
    pub(crate) origins: Option<AllowedOrigins>,
    pub(crate) browser: &'e mut dyn Browser,
    pub(crate) host: &'e mut dyn Host,
    log: RunLog,
    names: ArtifactNames,
    /// Whether a step uploads what the run has made.
    pub(crate) keeps_artifacts: bool,
    /// The artifacts that may be uploaded.
    pub(crate) kept: HashMap<String, ArtifactBody>,
    /// Fields into which a secret was filled: pictures cover them.
    pub(crate) secret_fields: Vec<Locator>,
    /// The present elements of the loops around the step.
    pub(crate) elements: BTreeMap<String, Locator>,
    /// The iframe in which the step acts.
    pub(crate) frame: Option<Locator>,
    /// The state that was entered last.
    state: Option<String>,
    /// What bounds the time of what is being executed: the state, and the groups of steps.
    limits: Vec<Limit>,
    /// What is being executed, such as `signing_in/steps/2 (click)`.
    pub(crate) position: Option<String>,
    /// What is masked now.
    masking: Masking,
    /// The secrets that were typed key by key.
    typed: Vec<Secret>,
    /// Whether the browser covers it on pictures.
    is_concealing: bool,
    /// What the log says about the present step.
    pub(crate) note: Note,
    /// Whether the run was cut: nothing is committed or stored any more.
    pub(crate) is_over: bool,
    /// The states that were skipped since the last one that was entered.
    skipped: Vec<SkippedState>,
    /// How many of the final states have ended, in whatever way: a run that is cut does the others.
    final_states_ended: usize,
    /// When the present state began.
    state_began: Option<Instant>,
    state_timings: Vec<(String, Duration)>,
    pub(crate) awaiting_user: Duration,
    artifacts: Duration,
}

/// A script as a function that may wait for something. The lines of its own let it end in a comment.
pub(crate) fn as_expression(script: &str) -> String {
    format!("(args) => (async () => (\n{script}\n))()")
}

/// A time within which something must be done.
struct Limit {
    /// What it is, in the words of a failure.
    what: String,
    began: Instant,
    limit: Duration,
    /// How long the run had waited for a person by then: that doesn't count.
    awaited_before: Duration,
}

impl Execution<'_> {
    async fn run(&mut self, definition: &Definition) -> Result<Option<Value>, Stop> {
        self.position = Some("allowedOrigins".to_owned());
        let origins = AllowedOrigins::resolve(&definition.allowed_origins, &self.scope)?;
        if origins.are_named() {
            let told = self.browser.allow_origins(&origins.to_texts()).await;
            told.map_err(|error| Fault::from_browser(&error, FailureCode::Internal))?;
        }
        self.origins = Some(origins);
        self.check_scripts(definition).await?;
        for state in definition.states.iter().filter(|state| !state.is_final) {
            self.execute_state(state).await?;
        }
        self.position = Some("output".to_owned());
        self.output(definition)
    }

    /// Finds what only a browser can find beforehand, before a step has changed anything.
    async fn check_scripts(&mut self, definition: &Definition) -> Result<(), Stop> {
        for script in definition.scripts() {
            self.position = Some(script.pointer.clone());
            let expression = as_expression(&script.text);
            let checked = self.browser.check_syntax(&expression, DEFAULT_STEP_TIMEOUT);
            checked
                .await
                .map_err(|error| Fault::from_browser(&error, FailureCode::Internal))?;
        }
        Ok(())
    }

    /// Says how the run ends, and keeps the page if it ends by a failure.
    async fn outcome(
        &mut self,
        ended: Result<Option<Value>, Stop>,
    ) -> Result<Outcome, Interrupted> {
        match ended {
            Ok(output) => Ok(Outcome::Completed { output }),
            Err(Stop::NoAction { reason }) => Ok(Outcome::NoAction {
                reason: self.message(&reason),
            }),
            Err(Stop::Failed(mut fault)) => {
                // What is still to be done is done in a tab that is there, and of that one the picture is.
                let left = self.browser.leave_closed_tab().await;
                if let (FailureCode::ElementNotActionable, Err(gone @ browser::Error::Closed)) =
                    (fault.code, left)
                {
                    fault = Fault::from_browser(&gone, fault.code);
                }
                let page = self.capture_failure(&fault).await?;
                Ok(Outcome::Failed(self.failure(fault, page.as_deref())))
            }
            Err(Stop::Interrupted(interrupted)) => Err(interrupted),
        }
    }

    /// Ends a run that was cut. What has to be done in any case is done quietly: for everybody else the run is over.
    async fn cut(mut self, definition: &Definition, cut: Cut) -> Result<Report, Interrupted> {
        self.end_state();
        let report = match cut {
            Cut::Canceled => Err(Interrupted::Canceled),
            // Should somebody else end the run meanwhile, nothing of it is stored any more; it cleans up all the same.
            Cut::DeadlineExceeded => {
                let message = "the run's working time is over";
                let fault = Fault::passing(FailureCode::DeadlineExceeded, message);
                self.fail_by_cut(definition, fault).await
            }
            Cut::Stopped => {
                let fault = Fault::lasting(FailureCode::Canceled, "the run was cancelled");
                self.fail_by_cut(definition, fault).await
            }
        };
        self.is_over = true;
        // A run that has entered no state has nothing to clean up.
        if self.state.is_some() {
            let outcome = Outcome::Completed { output: None };
            let cleaned_up = self.run_final_states(definition, outcome);
            // What comes of it is nobody's concern any more.
            let _ = tokio::time::timeout(CLEANING_UP, cleaned_up).await;
        }
        report
    }

    /// Stores what a run leaves that was cut.
    async fn fail_by_cut(
        &mut self,
        definition: &Definition,
        fault: Fault,
    ) -> Result<Report, Interrupted> {
        self.log.write(Entry {
            event: "cut",
            state: self.state.as_deref(),
            step: self.position.as_deref(),
            code: Some(fault.code),
            message: Some(&fault.message),
            ..Entry::default()
        });
        let page = self.capture_failure(&fault).await?;
        let outcome = Outcome::Failed(self.failure(fault, page.as_deref()));
        self.keep_har(definition, &outcome).await?;
        self.report(outcome).await
    }

    /// Executes the states that are executed whatever happened. The first failure of a run is the one that it has.
    async fn run_final_states(
        &mut self,
        definition: &Definition,
        mut outcome: Outcome,
    ) -> Result<Outcome, Interrupted> {
        let browser_ended = matches!(&outcome, Outcome::Failed(failure) if failure.code == FailureCode::BrowserCrashed);
        let final_states = definition.states.iter().filter(|state| state.is_final);
        for state in final_states.skip(self.final_states_ended) {
            if browser_ended {
                self.skip_state(&state.name, "the browser has gone");
                continue;
            }
            self.limits.clear();
            self.elements.clear();
            self.frame = None;
            // What is wrong with it, the state's own steps say.
            let _ = self.browser.leave_closed_tab().await;
            let ended = self.execute_state(state).await;
            self.final_states_ended += 1;
            let ended = match ended {
                Ok(()) => continue,
                Err(stop) => self.outcome(Err(stop)).await?,
            };
            if let (Outcome::Failed(_), Outcome::Completed { .. } | Outcome::NoAction { .. }) =
                (&ended, &outcome)
            {
                outcome = ended;
            }
        }
        Ok(outcome)
    }

    async fn execute_state(&mut self, state: &State) -> Result<(), Stop> {
        self.position = Some(format!("{}/when", state.name));
        self.note = Note::default();
        if let Some(when) = &state.when
            && !self.check(when).await?
        {
            let reason = self.not_so();
            self.skip_state(&state.name, &reason);
            return Ok(());
        }
        let limit = state
            .timeout
            .as_ref()
            .map(|timeout| timeout.get(&self.scope))
            .transpose()?;
        if !self.is_over {
            let skipped = std::mem::take(&mut self.skipped);
            self.host.enter_state(&state.name, skipped).await?;
        }
        self.log_state("state_entered", &state.name, None);
        self.state_began = Some(Instant::now());
        self.state = Some(state.name.clone());
        self.begin_limit(format!("the state `{}`", state.name), limit);
        let result = self.execute_steps(&state.name, &state.steps).await;
        self.limits.clear();
        self.end_state();
        result
    }

    /// Notes how long the present state took, if one is being executed.
    fn end_state(&mut self) {
        if let (Some(began), Some(name)) = (self.state_began.take(), self.state.clone()) {
            self.state_timings.push((name, began.elapsed()));
        }
    }

    /// Notes why a state is not executed, for the timeline and for the log.
    fn skip_state(&mut self, name: &str, reason: &str) {
        let reason = self.mask().apply(reason);
        self.log_state("state_skipped", name, Some(&reason));
        self.skipped.push(SkippedState::new(name, &reason));
    }

    /// Says that what was checked last is not so.
    fn not_so(&mut self) -> String {
        match self.note.awaited.take() {
            Some(awaited) => format!("does not hold: {awaited}"),
            None => "its condition does not hold".to_owned(),
        }
    }

    fn log_state(&mut self, event: &'static str, state: &str, message: Option<&str>) {
        self.log.write(Entry {
            event,
            state: Some(state),
            message,
            ..Entry::default()
        });
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
            self.execute_step(&position, step).await?;
            // Not every step waits for something, and a long loop of those would keep the run from being cut, and its
            // lease from being renewed.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn execute_step(&mut self, position: &str, step: &Step) -> Result<(), Stop> {
        let began = Instant::now();
        // The steps around this one have notes of their own.
        let outer = std::mem::take(&mut self.note);
        let mut result = self.do_step(position, step).await;
        // A step can keep what it has read without evaluating anything.
        if result.is_ok() && !self.scope.is_within_bounds() {
            let message = "the run's variables together are too large";
            result = Err(Fault::lasting(FailureCode::WorkflowInvalid, message).into());
        }
        let note = std::mem::replace(&mut self.note, outer);
        let (event, code, message) = match &result {
            Ok(event) => (*event, None, None),
            Err(Stop::Failed(fault)) => (
                "step_failed",
                Some(fault.code),
                Some(fault.message.as_str()),
            ),
            Err(Stop::NoAction { reason }) => ("ended_with_no_action", None, Some(reason.as_str())),
            Err(Stop::Interrupted(_)) => ("interrupted", None, None),
        };
        self.log.write(Entry {
            event,
            state: self.state.as_deref(),
            step: Some(position),
            duration_ms: Some(milliseconds(began.elapsed())),
            target: note.target.as_deref(),
            awaited: note.awaited.as_deref(),
            found: note.found.as_deref(),
            code,
            message,
        });
        let Some(on_error) = &step.on_error else {
            return result.map(drop);
        };
        match result {
            Ok(_) => self.scope.set(&on_error.variable, &Value::Null),
            Err(Stop::Failed(fault)) if fault.can_be_passed_over() => {
                let error = self.failure(fault, None);
                self.scope.set(
                    &on_error.variable,
                    &json!({"code": error.code, "message": error.message, "step": error.step}),
                );
                self.position = Some(position.to_owned());
            }
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// Does a step if its condition holds, as often as its policy says. Gives the event for the log.
    async fn do_step(&mut self, position: &str, step: &Step) -> Result<&'static str, Stop> {
        if let Some(when) = &step.when
            && !self.check(when).await?
        {
            let reason = self.not_so();
            self.note.found = Some(reason);
            return Ok("step_skipped");
        }
        let timeout = step
            .timeout
            .as_ref()
            .map(|timeout| timeout.get(&self.scope))
            .transpose()?;
        let mut waits = step.retry.into_iter().flat_map(waits);
        loop {
            let depth = self.limits.len();
            let result = match timeout {
                Some(timeout) if step.verb.inner_steps().next().is_some() => {
                    self.begin_limit(format!("the step {position}"), Some(timeout));
                    self.perform(&step.verb, position, timeout).await
                }
                _ => {
                    let timeout = self.allow(timeout.unwrap_or(DEFAULT_STEP_TIMEOUT))?;
                    self.perform(&step.verb, position, timeout).await
                }
            };
            self.limits.truncate(depth);
            let mut stop = match result {
                Ok(()) => return Ok("step_done"),
                Err(stop) => stop,
            };
            if let Stop::Failed(fault) = &mut stop
                && fault.exceeded == Some(depth)
            {
                fault.exceeded = None;
            }
            self.wait_for_retry(stop, &mut waits, position).await?;
        }
    }

    /// Waits before something is done again, or gives back why it is not.
    pub(crate) async fn wait_for_retry(
        &mut self,
        stop: Stop,
        waits: &mut (impl Iterator<Item = Duration> + Send),
        position: &str,
    ) -> Result<(), Stop> {
        let fault = match stop {
            Stop::Failed(fault) if fault.can_be_retried() => fault,
            stop => return Err(stop),
        };
        let Some(wait) = waits.next() else {
            return Err(fault.into());
        };
        self.log.write(Entry {
            event: "retrying",
            state: self.state.as_deref(),
            step: Some(position),
            duration_ms: Some(milliseconds(wait)),
            code: Some(fault.code),
            message: Some(&fault.message),
            ..Entry::default()
        });
        let wait = self.allow(wait)?;
        tokio::time::sleep(wait).await;
        self.position = Some(position.to_owned());
        Ok(())
    }

    fn begin_limit(&mut self, what: String, limit: Option<Duration>) {
        if let Some(limit) = limit {
            self.limits.push(Limit {
                what,
                began: Instant::now(),
                limit,
                awaited_before: self.awaiting_user,
            });
        }
    }

    /// Cuts a time-out down to what is left to the state and to the groups of steps around.
    pub(crate) fn allow(&self, timeout: Duration) -> Result<Duration, Stop> {
        let mut least = timeout;
        for (index, limit) in self.limits.iter().enumerate() {
            let awaited = self.awaiting_user.saturating_sub(limit.awaited_before);
            let used = limit.began.elapsed().saturating_sub(awaited);
            let left = limit.limit.saturating_sub(used);
            if left.is_zero() {
                let message = format!(
                    "{} took longer than {} ms",
                    limit.what,
                    limit.limit.as_millis()
                );
                let mut fault = Fault::passing(FailureCode::DeadlineExceeded, message);
                fault.exceeded = Some(index);
                return Err(fault.into());
            }
            least = least.min(left);
        }
        Ok(least)
    }

    /// What names mean now.
    pub(crate) fn resolver(&self) -> Resolver<'_> {
        Resolver {
            scope: &self.scope,
            elements: &self.elements,
            frame: self.frame.as_ref(),
        }
    }

    /// Checks what a state, a step or an `assert` depends on.
    pub(crate) async fn check(&mut self, when: &When) -> Result<bool, Stop> {
        let condition = match self.resolver().condition(&when.condition)? {
            Resolved::Known(value) => {
                let sources = when.condition.expressions().into_iter();
                let sources: Vec<_> = sources.map(definition::Expression::source).collect();
                self.note.awaited = Some(sources.join(", "));
                return Ok(value);
            }
            Resolved::Page(condition) => condition,
        };
        self.note.awaited = Some(condition.to_string());
        let within = when.within.as_ref().map(|within| within.get(&self.scope));
        match within
            .transpose()?
            .map(|within| self.allow(within))
            .transpose()?
        {
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

    /// Stores an artifact under a name that no other has, and gives that name.
    pub(crate) async fn store(
        &mut self,
        artifact_type: ArtifactType,
        wanted_name: &str,
        body: ArtifactBody,
    ) -> Result<String, Interrupted> {
        let name = self.names.claim(&self.mask().apply(wanted_name));
        if self.is_over {
            return Ok(name);
        }
        let content_type = match artifact_type {
            ArtifactType::Log => "application/x-ndjson",
            _ => content_type(&name),
        };
        if self.keeps_artifacts {
            self.kept.insert(name.clone(), body.clone());
        }
        let artifact = NewArtifact {
            artifact_type,
            name: name.clone(),
            content_type: content_type.to_owned(),
            body,
            state: self.state.clone(),
        };
        let began = Instant::now();
        let stored = self.host.store_artifact(artifact).await;
        self.artifacts += began.elapsed();
        stored.map(|()| name)
    }

    /// What a picture shows: never a password, nor a field that holds a secret.
    pub(crate) fn picture(&self, full_page: bool, element: Option<Locator>) -> Screenshot {
        Screenshot {
            full_page,
            element,
            mask: self.covered_fields(),
        }
    }

    /// The fields that nothing shows that is made of a page.
    pub(crate) fn covered_fields(&self) -> Vec<Locator> {
        std::iter::once(Locator::css("input[type=password]"))
            .chain(self.secret_fields.clone())
            .collect()
    }

    /// A picture of the page as it is, as an artifact that the host stores with the question that it is for.
    pub(crate) async fn picture_for_question(&mut self) -> Option<NewArtifact> {
        let picture = self.picture(false, None);
        let png = self.browser.screenshot(&picture).await.ok()?;
        Some(NewArtifact {
            artifact_type: ArtifactType::Screenshot,
            name: self.names.claim("question.png"),
            content_type: "image/png".to_owned(),
            body: ArtifactBody::Bytes(png),
            state: self.state.clone(),
        })
    }

    pub(crate) fn mask(&self) -> Arc<Mask> {
        self.masking.mask()
    }

    /// To be called before a text with secrets is typed key by key: the page gets to know how they begin.
    pub(crate) fn begin_to_type(&mut self, text: &Secret) {
        let text = text.expose();
        let typed: Vec<Secret> = self
            .scope
            .secret_values()
            .filter(|value| {
                text.contains(value) && self.typed.iter().all(|it| it.expose() != *value)
            })
            .map(Secret::new)
            .collect();
        if !typed.is_empty() {
            self.typed.extend(typed);
            self.renew_mask();
        }
    }

    /// To be called when the run has got to know another secret, before that goes anywhere.
    pub(crate) fn renew_mask(&mut self) {
        let typed = self.typed.iter().map(Secret::expose);
        let mask = Mask::with_typed(self.scope.secret_values(), typed);
        self.masking.set(mask);
        // Looking for secrets in a page costs time, which a run without any need not spend.
        if !self.is_concealing && self.scope.secret_values().next().is_some() {
            self.is_concealing = true;
            self.browser.conceal(self.masking.redaction());
        }
    }

    fn output(&mut self, definition: &Definition) -> Result<Option<Value>, Stop> {
        if definition.output.is_empty() {
            return Ok(None);
        }
        let mut output = Map::new();
        for (name, template) in &definition.output {
            self.position = Some(format!("output/{name}"));
            let value = template.value(&self.scope)?;
            output.insert(name.clone(), value);
        }
        let output = self.mask().apply_to_read(Value::Object(output));
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
        if fault.is_the_browsers_end() || self.state.is_none() || self.is_over {
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
            let mask = self.mask();
            // As long as a site means it to take: other runs, and this one's lease, do not wait for it.
            let masked = tokio::task::spawn_blocking(move || mask.apply(&dom)).await;
            let masked = masked.map_err(|error| Interrupted::Fault(Box::new(error)))?;
            let body = ArtifactBody::Bytes(masked.into_bytes());
            self.store(ArtifactType::Dom, "failure.html", body).await?;
        }
        Ok(url.ok().and_then(|url| without_query(&url)))
    }

    fn failure(&self, fault: Fault, page: Option<&str>) -> Failure {
        let page = page
            .filter(|page| fault.is_about_page && !fault.message.contains(page))
            .map(|page| format!(" (on {page})"))
            .unwrap_or_default();
        Failure {
            code: fault.code,
            message: self.message(&format!("{}{page}", fault.message)),
            state: self.state.clone(),
            step: self.position.clone(),
            retryable: fault.retryable,
            custom_code: fault.custom_code,
        }
    }

    /// A text for a person as the run's item may keep it: without secrets, and cut where it is too long.
    pub(crate) fn message(&self, text: &str) -> String {
        let mut message = self.mask().apply(text);
        if let Some((end, _)) = message.char_indices().nth(MOST_MESSAGE_CHARS) {
            message.truncate(end);
            message.pop();
            message.push('…');
        }
        message
    }

    /// Stores the log, and reports.
    async fn finish(
        mut self,
        definition: &Definition,
        outcome: Outcome,
    ) -> Result<Report, Interrupted> {
        self.keep_har(definition, &outcome).await?;
        self.report(outcome).await
    }

    /// Stores the network's traffic, if the definition wants it.
    async fn keep_har(
        &mut self,
        definition: &Definition,
        outcome: &Outcome,
    ) -> Result<(), Interrupted> {
        let is_wanted = match definition.har {
            KeepHar::Never => false,
            KeepHar::OnFailure => matches!(outcome, Outcome::Failed(_)),
            KeepHar::Always => true,
        };
        if !is_wanted {
            return Ok(());
        }
        if let Some(har) = self.browser.end_har().await {
            // What was recorded before a secret was known went through an older mask.
            let har = self.mask().apply_to_recording(har);
            let body = ArtifactBody::Bytes(har.to_string().into_bytes());
            self.store(ArtifactType::Har, "network.har", body).await?;
        }
        Ok(())
    }

    async fn report(&mut self, outcome: Outcome) -> Result<Report, Interrupted> {
        self.log.write(match &outcome {
            Outcome::Completed { .. } => Entry {
                event: "completed",
                ..Entry::default()
            },
            Outcome::NoAction { reason } => Entry {
                event: "completed_with_no_action_taken",
                message: Some(reason),
                ..Entry::default()
            },
            Outcome::Failed(failure) => Entry {
                event: "failed",
                state: failure.state.as_deref(),
                step: failure.step.as_deref(),
                code: Some(failure.code),
                message: Some(&failure.message),
                ..Entry::default()
            },
        });
        let log = std::mem::replace(&mut self.log, RunLog::begin()).into_text();
        let body = ArtifactBody::Bytes(self.mask().apply_to_log(&log).into_bytes());
        self.store(ArtifactType::Log, "log.jsonl", body).await?;
        Ok(Report {
            outcome,
            state_timings: std::mem::take(&mut self.state_timings),
            awaiting_user: self.awaiting_user,
            artifacts: self.artifacts,
            skipped: std::mem::take(&mut self.skipped),
        })
    }
}

/// A page's URL without user, query and fragment, in which tokens travel.
pub(crate) fn without_query(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(url::Url::has_host)?;
    Some(format!(
        "{}{}",
        url.origin().ascii_serialization(),
        url.path()
    ))
}
