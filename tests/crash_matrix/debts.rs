//! Debts of every kind, for a sweeper to find: what was lost by others who died before.

use std::time::Duration;

use domain::run::{Event, Finish, InputRequest, Phase, Policy, Run, Status, Timings};
use domain::{FailureCode, InputRequestId, Timestamp, WorkflowId};
use store::{Job, Queue, Store, Transition, fresh_id, now};

use crate::chaos::stage::Stage;

/// The lease with which the runs here were claimed. Nobody renews it.
const LEASE: Duration = Duration::from_secs(30);

/// What a run is called here, by what became of it.
const KIND: &str = "kind";

const MESSAGE_LOST: &str = "its message was lost";
const WAITING: &str = "the end that it waited for went unheard";
const NEVER_BEGUN: &str = "its worker was lost before the first step";
const BEGUN: &str = "its worker was lost after the first step";
const UNANSWERED: &str = "nobody answers";
const OVERTIME: &str = "its working time is over";
const OWING: &str = "its events are owed";
const DELIVERY_LOST: &str = "the message about its delivery was lost";

/// Runs up one debt of each kind, and a job run that nobody has heard of.
pub(crate) async fn run_up(
    stage: &Stage,
    workflow_id: WorkflowId,
    job: &Job,
) -> anyhow::Result<()> {
    let store = stage.store();
    // The endpoint must have been there before; a minute ago nothing of this had happened.
    let at = now();
    let policy = Policy {
        max_attempts: 1,
        ..Policy::default()
    };
    let create = async |kind: &str, policy: &Policy| {
        let kind = [(KIND, kind)];
        stage
            .write_run(workflow_id, policy.clone(), &kind, at)
            .await
    };

    create(MESSAGE_LOST, &policy).await?;
    claimed(store, create(NEVER_BEGUN, &policy).await?, at).await?;
    begun(store, create(BEGUN, &policy).await?, at).await?;
    let short = Policy {
        work_time: LEASE,
        ..policy.clone()
    };
    begun(store, create(OVERTIME, &short).await?, at).await?;

    let run = begun(store, create(UNANSWERED, &policy).await?, at).await?;
    let request = InputRequest {
        id: fresh_id(InputRequestId::new, at),
        prompt: "Code".to_owned(),
        message: None,
        screenshot_artifact_id: None,
        fields: Vec::new(),
        expires_at: at.plus(LEASE),
        tries_left: 1,
    };
    let attempt = run.attempt;
    commit(store, run, Event::AskedUser { attempt, request }, at).await?;

    for kind in [OWING, DELIVERY_LOST] {
        let run = begun(store, create(kind, &policy).await?, at).await?;
        let finished = Event::Finished {
            attempt: run.attempt,
            finish: Finish::NoActionTaken {
                reason: "nothing to do".to_owned(),
            },
            timings: Timings::default(),
            skipped: Vec::new(),
        };
        let run = commit(store, run, finished, at).await?;
        if kind == DELIVERY_LOST {
            dispatcher::conclude(store, &run).await?;
            lose_messages(store).await?;
        }
    }

    // After the end above, which would have let it into the queue.
    let waiting = create(WAITING, &policy).await?;
    store
        .postpone_run(&waiting, &waiting.admitted(false, at))
        .await?;

    job_trigger::start_job(store, job, "customer", None).await?;
    Ok(())
}

async fn lose_messages(store: &Store) -> anyhow::Result<()> {
    loop {
        let messages = store.receive(Queue::Deliveries, 10, Duration::ZERO).await?;
        if messages.is_empty() {
            return Ok(());
        }
        for message in messages {
            store.delete_message(Queue::Deliveries, &message).await?;
        }
    }
}

async fn commit(store: &Store, run: Run, event: Event, at: Timestamp) -> anyhow::Result<Run> {
    match store.transition(run, &event, at).await? {
        Transition::Committed(run) => Ok(*run),
        Transition::Rejected { why, .. } => anyhow::bail!("{event:?} was rejected: {why}"),
    }
}

async fn claimed(store: &Store, run: Run, at: Timestamp) -> anyhow::Result<Run> {
    let event = Event::Claimed {
        worker_id: "lost".to_owned(),
        lease: LEASE,
    };
    commit(store, run, event, at).await
}

async fn begun(store: &Store, run: Run, at: Timestamp) -> anyhow::Result<Run> {
    let run = claimed(store, run, at).await?;
    let event = Event::EnteredState {
        attempt: run.attempt,
        name: "extracting".to_owned(),
        skipped: Vec::new(),
    };
    commit(store, run, event, at).await
}

/// Each debt has become what it should.
pub(crate) fn are_paid(runs: &[Run]) -> anyhow::Result<()> {
    let mut of_the_job = 0;
    for run in runs {
        let failure = match &run.phase {
            Phase::Failed(failure) => Some(failure.code),
            _ => None,
        };
        let kind = run.metadata.get(KIND).map(String::as_str);
        let expected = match kind {
            None => {
                of_the_job += 1;
                (Status::Completed, None)
            }
            Some(MESSAGE_LOST | WAITING | NEVER_BEGUN) => (Status::Completed, None),
            Some(BEGUN) => (Status::Failed, Some(FailureCode::WorkerLost)),
            Some(UNANSWERED) => (Status::Failed, Some(FailureCode::UserInputTimeout)),
            Some(OVERTIME) => (Status::Failed, Some(FailureCode::DeadlineExceeded)),
            Some(OWING | DELIVERY_LOST) => (Status::CompletedWithNoActionTaken, None),
            Some(other) => anyhow::bail!("there is no debt called {other}"),
        };
        anyhow::ensure!(
            (run.status(), failure) == expected,
            "a run ({}) ended as {:?}",
            kind.unwrap_or("of the job"),
            run.phase
        );
    }
    anyhow::ensure!(
        (runs.len(), of_the_job) == (10, 2),
        "there are {} runs, {of_the_job} of the job",
        runs.len()
    );
    Ok(())
}
