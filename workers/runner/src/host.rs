//! What the engine asks of the run's owner: commits, questions, artifacts.

use std::time::Duration;

use async_trait::async_trait;
use domain::definition::Secret;
use domain::run::{Event, InputField, InputRequest, Phase, Rejected, Run, SkippedState, Status};
use domain::{ArtifactId, InputRequestId};
use engine::{Answer, Host, Interrupted, NewArtifact, Question, Unreached};
use platform::retry::{Backoff, random_fraction};
use platform::socks_proxy::Failure;
use platform::telemetry::metrics::Measurement;
use store::{StoreError, Transition, fresh_id, next_commit, now};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Worker;
use crate::possession::Possession;
use crate::sessions::Held;

/// How long to wait between two tries of a call that AWS did not take. The lease bounds how often that is.
pub(crate) const TRY_AGAIN: Backoff = Backoff {
    first: Duration::from_millis(100),
    cap: Duration::from_secs(5),
};

/// How often an answer is looked for again that can't be read yet: some seconds.
const LOOKS_FOR_AN_ANSWER: usize = 6;

/// The host of one run.
pub(crate) struct RunHost<'r> {
    pub(crate) worker: &'r Worker,
    pub(crate) possession: &'r Possession<'r>,
    /// What stands behind the browser, and knows why a connection failed.
    pub(crate) held: &'r dyn Held,
    /// The working slot; none while the run waits for a person.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

impl RunHost<'_> {
    /// Commits a transition, however often it takes while the lease lasts.
    pub(crate) async fn commit(&self, event: &Event) -> Result<(), Interrupted> {
        match self.try_to_commit(event).await? {
            None => Ok(()),
            Some(_) => Err(Interrupted::TakenAway),
        }
    }

    /// The same; answers why the run can't be changed so, if it can't.
    async fn try_to_commit(&self, event: &Event) -> Result<Option<Rejected>, Interrupted> {
        let store = &self.worker.store;
        // The same for each try: one whose answer got lost may have been committed.
        let commit = next_commit(&self.possession.run());
        let transition =
            persist(|| store.transition_as(self.possession.run(), event, now(), commit)).await?;
        let (run, rejected) = match transition {
            Transition::Committed(run) => (run, None),
            Transition::Rejected { run, why } => (run, Some(why)),
        };
        self.possession.see(*run);
        match rejected {
            Some(why @ Rejected::HistoryFull) => Err(Interrupted::Fault(Box::new(why))),
            rejected => Ok(rejected),
        }
    }
}

/// Calls the store until it answers: what is transient is tried again. Whoever calls this is dropped when the lease
/// ends, so it needs no end of its own.
pub(crate) async fn persist<T, F>(mut call: impl FnMut() -> F) -> Result<T, Interrupted>
where
    F: Future<Output = store::Result<T>>,
{
    let mut delays = TRY_AGAIN.delays(random_fraction);
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "The store did not answer; trying again");
                tokio::time::sleep(delays.next().unwrap_or(TRY_AGAIN.cap)).await;
            }
            Err(error) => return Err(fault(error)),
        }
    }
}

/// Whether a run awaits the answer to this question.
fn awaits(run: &Run, id: InputRequestId) -> bool {
    matches!(&run.phase, Phase::AwaitingUserInput { request, .. } if request.id == id)
}

fn fault(error: StoreError) -> Interrupted {
    Interrupted::Fault(Box::new(error))
}

#[async_trait]
impl Host for RunHost<'_> {
    async fn enter_state(
        &mut self,
        name: &str,
        skipped: Vec<SkippedState>,
    ) -> Result<(), Interrupted> {
        let event = Event::EnteredState {
            attempt: self.possession.attempt(),
            name: name.to_owned(),
            skipped,
        };
        let entering = self.possession.entering().await;
        self.commit(&event).await?;
        drop(entering);
        tracing::info!(state = name, "Entered a state");
        Ok(())
    }

    async fn ask_user(
        &mut self,
        question: Question,
        screenshot: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted> {
        let screenshot_artifact_id = match screenshot {
            None => None,
            Some(picture) => Some(self.put_artifact(picture).await?.id),
        };
        let at = now();
        let fields = question
            .fields
            .iter()
            .map(|field| InputField {
                kind: field.kind.name().to_owned(),
                label: question.label(field).to_owned(),
                name: field.name.clone(),
                options: field.options.clone(),
            })
            .collect();
        let request = InputRequest {
            id: fresh_id(InputRequestId::new, at),
            prompt: question.prompt,
            message: question.message,
            screenshot_artifact_id,
            fields,
            expires_at: at.plus(question.timeout),
            tries_left: question.tries_left,
        };
        let (id, expires_at) = (request.id, request.expires_at);
        self.commit(&Event::AskedUser {
            attempt: self.possession.attempt(),
            request,
        })
        .await?;
        tracing::info!(input_request_id = %id, "The run waits for a person");

        // The slot is free while the run waits, as long as not too many wait; else the run keeps its slot until one of
        // those waits no more.
        let mut waiting = try_acquire(&self.worker.waiting);
        if waiting.is_some() {
            self.slot = None;
        } else {
            Measurement::count("WaitingSlotsMissed", 1).emit();
        }
        let possession = self.possession;
        // It may be answered already: where the commit's own answer got lost, the person was perhaps faster than the next
        // try.
        let mut answered = std::pin::pin!(possession.until(|newest| !awaits(newest, id)));
        let mut expired = std::pin::pin!(tokio::time::sleep(expires_at.since(now())));
        let mut vacancy =
            std::pin::pin!(std::sync::Arc::clone(&self.worker.waiting).acquire_owned());
        let answer = loop {
            tokio::select! {
                biased;
                newest = &mut answered => break self.take_answer(&newest, id).await,
                () = &mut expired => break self.go_on_unanswered(id).await,
                Ok(slot) = &mut vacancy, if waiting.is_none() => {
                    waiting = Some(slot);
                    self.slot = None;
                }
            }
        };
        // The run goes on at once, even if its slot was given away meanwhile: a code does not keep. What it had while it
        // waited is its slot from here on, so that the runner never has more in work than all of its slots.
        if waiting.is_some() {
            self.slot = waiting;
        }
        answer
    }

    async fn store_artifact(&mut self, artifact: NewArtifact) -> Result<(), Interrupted> {
        self.put_artifact(artifact).await.map(drop)
    }

    async fn explain_refusal(&mut self, url: &str) -> Option<String> {
        let failure = self.failure_of(url)?;
        failure.is_refusal().then(|| failure.to_string())
    }

    async fn explain_failure(&mut self, url: &str) -> Option<Unreached> {
        self.failure_of(url).map(|failure| Unreached {
            reason: failure.to_string(),
            is_lasting: failure.is_lasting(),
        })
    }
}

impl RunHost<'_> {
    /// Stores an artifact, and says as what.
    async fn put_artifact(&self, artifact: NewArtifact) -> Result<store::Artifact, Interrupted> {
        let run = self.possession.run();
        if self.possession.is_lost(&run) {
            return Err(Interrupted::TakenAway);
        }
        let attempt = self.possession.attempt();
        let store = &self.worker.store;
        let id = fresh_id(ArtifactId::new, now());
        let stored = persist(|| {
            let body = match &artifact.body {
                engine::ArtifactBody::Bytes(bytes) => store::ArtifactBody::Bytes(bytes.clone()),
                engine::ArtifactBody::File(path) => store::ArtifactBody::File(path.clone()),
            };
            let new = store::NewArtifact {
                id,
                artifact_type: artifact.artifact_type,
                name: artifact.name.clone(),
                content_type: artifact.content_type.clone(),
                body,
                state_name: artifact.state.clone(),
            };
            store.put_artifact(&run, attempt, new)
        })
        .await?;
        tracing::info!(artifact_id = %stored.id, name = stored.name, size_bytes = stored.size_bytes, "Stored an artifact");
        Ok(stored)
    }

    /// What the browser's proxy knows of a connection that did not come about.
    fn failure_of(&self, url: &str) -> Option<Failure> {
        let url = url::Url::parse(url).ok()?;
        // An IPv6 address has brackets in a URL, and none for the proxy.
        let host = url.host_str()?.trim_matches(['[', ']']);
        self.held.failure_of(host, url.port_or_known_default()?)
    }

    /// Goes on when a question's time is over. An answer that was a moment faster has won, and a later one is refused: which
    /// of the two it is, the table decides, and no clock.
    async fn go_on_unanswered(&mut self, id: InputRequestId) -> Result<Answer, Interrupted> {
        let event = Event::WentOnUnanswered {
            attempt: self.possession.attempt(),
            request_id: id,
        };
        match self.try_to_commit(&event).await? {
            None => Ok(Answer::TimedOut),
            Some(_) => self.take_answer(&self.possession.run(), id).await,
        }
    }

    async fn take_answer(&mut self, run: &Run, id: InputRequestId) -> Result<Answer, Interrupted> {
        if self.possession.is_lost(run) || run.status() != Status::InProgress {
            return Err(Interrupted::TakenAway);
        }
        let store = &self.worker.store;
        let mut delays = TRY_AGAIN.delays(random_fraction).take(LOOKS_FOR_AN_ANSWER);
        // Run and answer are written in one transaction, which can be read item by item: the answer may come last.
        let values = loop {
            if let Some(values) = persist(|| store.take_answer(run, id)).await? {
                break values;
            }
            let Some(delay) = delays.next() else {
                tracing::error!(input_request_id = %id, "The run was answered, and there is no answer");
                return Err(Interrupted::TakenAway);
            };
            tokio::time::sleep(delay).await;
        };
        Ok(Answer::Given(
            values
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        ))
    }
}

fn try_acquire(semaphore: &std::sync::Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    std::sync::Arc::clone(semaphore).try_acquire_owned().ok()
}
