//! What a test begins with, and the steps that it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::definition::Definition;
use domain::job_run::{JobRun, ManagedRun, OnFailure};
use domain::run::{Event, NewRun, Phase, Policy, Run, Status};
use domain::{
    FailureCode, InputRequestId, JobId, JobRunId, OrganizationId, RunId, Timestamp, WorkflowId,
};
use localstack::fixture::Fixture;
use localstack::resources::settings_of;
use platform::configuration::{Environment, Resources, Runner as Settings};
use runner::{Orders, Sessions};
use serde_json::{Value, json};
use store::local::messages;
use store::{
    Connection, JustNow, NewWorkflow, RunMessage, Store, Transition, Workflow, fresh_commit,
    fresh_id, now,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::scripted::Scripted;
use crate::site::Site;

/// How long anything may take before the test fails: much longer than it ever takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the test looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One organization on resources of its own, and a site.
pub(crate) struct Setting {
    pub(crate) store: Store,
    pub(crate) site: Site,
    connection: Connection,
    outputs: BTreeMap<String, String>,
    organization_id: OrganizationId,
}

/// A runner in this process.
pub(crate) struct Runner {
    orders: Orders,
    running: JoinSet<()>,
}

pub(crate) fn failure_code(run: &Run) -> Option<FailureCode> {
    match &run.phase {
        Phase::Failed(failure) => Some(failure.code),
        _ => None,
    }
}

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

impl Setting {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::start().await.expect("a fixture");
        Self {
            store: fixture.store,
            connection: fixture.connection,
            outputs: fixture.outputs,
            site: Site::start().await,
            organization_id: fresh_id(OrganizationId::new, now()),
        }
    }

    /// Starts a runner with the script's browsers and these settings beside the defaults.
    pub(crate) fn runner(&self, settings: &[(&str, &str)]) -> Runner {
        self.runner_with(Box::new(Scripted::new()), settings)
    }

    /// The same with other browsers.
    pub(crate) fn runner_with(
        &self,
        sessions: Box<dyn Sessions>,
        settings: &[(&str, &str)],
    ) -> Runner {
        self.runner_through(&self.connection, sessions, settings)
    }

    /// A gate before the emulator.
    pub(crate) async fn gate(&self) -> Gate {
        let url = self.connection.sdk_config().endpoint_url();
        Gate::before(url.expect("an emulator")).await
    }

    /// Starts a runner all of whose calls go through a gate.
    pub(crate) async fn runner_behind(&self, gate: &Gate, settings: &[(&str, &str)]) -> Runner {
        self.runner_behind_with(gate, Box::new(Scripted::new()), settings)
            .await
    }

    /// The same with other browsers.
    pub(crate) async fn runner_behind_with(
        &self,
        gate: &Gate,
        sessions: Box<dyn Sessions>,
        settings: &[(&str, &str)],
    ) -> Runner {
        let connection = Connection::to_emulator(&gate.url, "eu-central-1", "test", "test").await;
        self.runner_through(&connection, sessions, settings)
    }

    /// A store all of whose calls go through a gate.
    pub(crate) async fn store_behind(&self, gate: &Gate) -> Store {
        let connection = Connection::to_emulator(&gate.url, "eu-central-1", "test", "test").await;
        let environment: Environment = settings_of(&self.outputs).into_iter().collect();
        Store::new(
            &connection,
            Resources::read(&environment).expect("resources"),
        )
    }

    fn runner_through(
        &self,
        connection: &Connection,
        sessions: Box<dyn Sessions>,
        settings: &[(&str, &str)],
    ) -> Runner {
        // What is in hand at the end of a test has a second; so has a receive that is open.
        let environment: Environment = settings_of(&self.outputs)
            .into_iter()
            .chain([("LEGWORK_STOP_TIMEOUT_SECONDS".to_owned(), "1".to_owned())])
            .chain(
                settings
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            )
            .collect();
        let resources = Resources::read(&environment).expect("resources");
        let store = Store::new(connection, resources);
        let settings = Settings::read(&environment).expect("settings");
        let orders = Orders::from(CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(runner::run(settings, store, sessions, orders.clone()));
        Runner { orders, running }
    }

    /// A run of a workflow, in the queue.
    pub(crate) async fn run(&self, definition: &str) -> RunId {
        self.run_of(self.organization_id, definition).await
    }

    /// Sets a secret of the organization.
    pub(crate) async fn put_secret(&self, name: &str, value: &str) {
        let put = self.store.put_secret(self.organization_id, name, value);
        put.await.expect("the secret is set");
    }

    pub(crate) async fn run_of_another_organization(&self, definition: &str) -> RunId {
        self.run_of(fresh_id(OrganizationId::new, now()), definition)
            .await
    }

    async fn run_of(&self, organization_id: OrganizationId, definition: &str) -> RunId {
        let new = self.planned_by(organization_id, definition).await;
        self.begin(new).await
    }

    /// A run of a new workflow, not written yet.
    pub(crate) async fn planned(&self, definition: &str) -> NewRun {
        self.planned_by(self.organization_id, definition).await
    }

    pub(crate) async fn planned_by_another_organization(&self, definition: &str) -> NewRun {
        self.planned_by(fresh_id(OrganizationId::new, now()), definition)
            .await
    }

    async fn planned_by(&self, organization_id: OrganizationId, definition: &str) -> NewRun {
        let at = now();
        let value = serde_json::from_str(definition).expect("JSON");
        let parsed = Definition::parse_json(&value).expect("a valid definition");
        let workflow_id = fresh_id(WorkflowId::new, at);
        let workflow = Workflow {
            id: workflow_id,
            organization_id,
            name: parsed.name.clone(),
            version: 1,
            created_at: at,
            updated_at: at,
            created_by_user_id: "user".to_owned(),
        };
        let new = NewWorkflow {
            workflow,
            definition: definition.to_owned(),
        };
        self.store
            .create_workflow(&new, None)
            .await
            .expect("the workflow is written");
        NewRun {
            id: fresh_id(RunId::new, at),
            organization_id,
            workflow_id,
            workflow_version: 1,
            job_run_id: None,
            retry_of_run_id: None,
            created_by_user_id: "user".to_owned(),
            metadata: BTreeMap::new(),
            secret_bindings: BTreeMap::new(),
            policy: Policy::of(&parsed),
            trace_parent: None,
        }
    }

    /// Writes a run with its input.
    pub(crate) async fn write(&self, new: NewRun) -> Run {
        let run = Run::create(new, now(), fresh_commit());
        let input = json!({ "url": self.site.url });
        self.store
            .create_run(&run, &input, None)
            .await
            .expect("the run is written");
        run
    }

    /// Writes a run, and puts it into the queue; of a job run, as one whose turn has come.
    pub(crate) async fn begin(&self, new: NewRun) -> RunId {
        let run = self.write(new).await;
        if run.phase == Phase::Held {
            let released = self.commit(run.clone(), Event::Released).await;
            let just_now = JustNow::Waits(released.id);
            let admitted = self
                .store
                .admit_waiting(released.organization_id, just_now, now())
                .await;
            assert_eq!(admitted.expect("the store answers"), 1);
            return run.id;
        }
        self.enqueue(run.id).await;
        run.id
    }

    /// A job run of these runs, one after the other, with the names by which their outputs are read.
    pub(crate) async fn job_run(&self, runs: &mut [(&mut NewRun, &str)]) -> JobRun {
        let at = now();
        let id = fresh_id(JobRunId::new, at);
        let managed = runs.iter_mut().zip(1..).map(|((run, name), order)| {
            run.job_run_id = Some(id);
            ManagedRun {
                run_id: run.id,
                workflow_id: run.workflow_id,
                workflow_version: run.workflow_version,
                order,
                input: "{}".to_owned(),
                output_name: Some((*name).to_owned()),
            }
        });
        let job_run = JobRun {
            id,
            organization_id: self.organization_id,
            job_id: fresh_id(JobId::new, at),
            created_by_user_id: "user".to_owned(),
            scheduled_at: None,
            on_failure: OnFailure::Stop,
            runs: managed.collect(),
            status: Status::Pending,
            current_workflow_run_id: None,
            sequence: 1,
            created_at: at,
            updated_at: at,
            due_at: None,
        };
        let written = self.store.create_job_run(&job_run).await;
        written.expect("the job run is written");
        job_run
    }

    /// What a run has returned.
    pub(crate) async fn output(&self, run: RunId) -> Option<Value> {
        let of = self.fresh(run).await.organization_id;
        let found = self.store.run_with_values_of(of, run).await;
        found.expect("the store answers").and_then(|run| run.output)
    }

    /// A run that waits until there is room for it.
    pub(crate) async fn waiting(&self, definition: &str) -> Run {
        let new = self.planned(definition).await;
        let created = Run::create(new, now(), fresh_commit());
        let run = created.admitted(false, now());
        let input = json!({ "url": self.site.url });
        let written = self.store.create_run(&run, &input, None).await;
        written.expect("the run is written");
        run
    }

    /// A run whose worker died in its first state, by whatever way: it is ready for its second execution.
    pub(crate) async fn lost_in_its_first_state(&self, run: RunId) -> Run {
        let mut run = self.fresh(run).await;
        let attempt = run.attempt + 1;
        for event in [
            Event::Claimed {
                worker_id: "worker".to_owned(),
                lease: Duration::from_secs(30),
            },
            Event::EnteredState {
                attempt,
                name: "visiting".to_owned(),
                skipped: Vec::new(),
            },
            Event::LeaseExpired { attempt },
        ] {
            run = self.commit(run, event).await;
        }
        run
    }

    pub(crate) async fn enqueue(&self, run: RunId) {
        let message = RunMessage {
            run_id: run,
            org_id: self.fresh(run).await.organization_id,
        };
        self.store
            .enqueue_run(message)
            .await
            .expect("the queue answers");
    }

    pub(crate) async fn send_to_run_queue(&self, body: &str) {
        messages::send(&self.connection, &self.outputs["RunQueueUrl"], body)
            .await
            .expect("the queue answers");
    }

    /// The message that the run queue gave up.
    pub(crate) async fn dead_letter(&self) -> String {
        let queue = &self.outputs["RunDeadLetterQueueUrl"];
        in_time("a dead letter", async {
            loop {
                let bodies = messages::receive(&self.connection, queue)
                    .await
                    .expect("the queue answers");
                if let Some(body) = bodies.into_iter().next() {
                    return body;
                }
            }
        })
        .await
    }

    /// Waits until no message is in the run queue, and none in anybody's hand.
    pub(crate) async fn until_the_queue_is_empty(&self) {
        let queue = &self.outputs["RunQueueUrl"];
        in_time("emptying the queue", async {
            while messages::count(&self.connection, queue)
                .await
                .expect("the queue answers")
                > 0
            {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    pub(crate) async fn fresh(&self, run: RunId) -> Run {
        self.store
            .run(run)
            .await
            .expect("the store answers")
            .expect("the run exists")
    }

    /// Waits until a run is as it should be.
    pub(crate) async fn until(&self, run: RunId, condition: impl Fn(&Run) -> bool) -> Run {
        in_time("a change of a run", async {
            loop {
                let fresh = self.fresh(run).await;
                if condition(&fresh) {
                    return fresh;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    pub(crate) async fn ended(&self, run: RunId) -> Run {
        self.until(run, |run| run.status().is_final()).await
    }

    /// Commits what somebody else did, which must be legal.
    pub(crate) async fn commit(&self, run: Run, event: Event) -> Run {
        self.commit_at(run, event, now()).await
    }

    pub(crate) async fn commit_at(&self, run: Run, event: Event, at: Timestamp) -> Run {
        match self.store.transition(run, &event, at).await {
            Ok(Transition::Committed(run)) => *run,
            other => panic!("{event:?}: {other:?}"),
        }
    }

    pub(crate) async fn answer(&self, asked: &Run, code: &str) {
        let Phase::AwaitingUserInput { request, .. } = &asked.phase else {
            panic!("it asks nothing: {asked:?}")
        };
        let answered = self.try_to_answer(asked, request.id, code).await;
        assert!(matches!(answered, Transition::Committed(_)), "{answered:?}");
    }

    /// Answers as an api does whose clock is so far behind that the question's time is not over for it.
    pub(crate) async fn answer_by_a_slow_clock(&self, asked: &Run) -> Transition {
        let Phase::AwaitingUserInput { request, .. } = &asked.phase else {
            panic!("it asks nothing: {asked:?}")
        };
        self.answer_at(asked, request.id, "1", asked.updated_at())
            .await
    }

    /// What was answered has been taken, and is deleted.
    pub(crate) async fn has_no_answer_any_more(&self, asked: &Run) {
        let Phase::AwaitingUserInput { request, .. } = &asked.phase else {
            panic!("it asks nothing: {asked:?}")
        };
        let left = self.store.take_answer(asked, request.id).await;
        assert_eq!(left.expect("the store answers"), None);
    }

    pub(crate) async fn answer_is_refused(&self, run: &Run, request: InputRequestId) {
        let answered = self.try_to_answer(run, request, "1").await;
        assert!(
            matches!(answered, Transition::Rejected { .. }),
            "{answered:?}"
        );
    }

    async fn try_to_answer(&self, run: &Run, request: InputRequestId, code: &str) -> Transition {
        self.answer_at(run, request, code, now()).await
    }

    async fn answer_at(
        &self,
        run: &Run,
        request: InputRequestId,
        code: &str,
        at: Timestamp,
    ) -> Transition {
        let values = BTreeMap::from([("code".to_owned(), code.to_owned())]);
        let answered = self.store.answer_run(run.clone(), request, &values, at);
        answered.await.expect("the store answers")
    }
}

impl Runner {
    pub(crate) fn begin_to_stop(&self) {
        self.orders.stop.cancel();
    }

    pub(crate) fn begin_to_drain(&self) {
        self.orders.drain.cancel();
    }

    pub(crate) async fn until_it_drains(&self) {
        in_time("draining", self.orders.drain.cancelled()).await;
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn stopped(mut self) {
        let ended = in_time("stopping", self.running.join_next()).await;
        ended.expect("one runner").expect("no panic");
    }

    pub(crate) async fn stop(self) {
        self.begin_to_stop();
        self.stopped().await;
    }
}
