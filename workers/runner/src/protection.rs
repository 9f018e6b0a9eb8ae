//! Keeps the runner's task from being stopped while it has runs in hand, where it is a task of ECS. A deployment that has
//! to wait for that is the sign to drain.

use std::time::Duration;

use platform::task_protection::{Answer, TaskProtection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the task is protected if nobody asks again, in minutes: as long as ECS gives it. Once a deployment waits, it
/// gives nothing more, and what is left of it is the time that the runs in hand have to end.
const FOR_MINUTES: u32 = 2_880;

/// How often the protection is asked for again while there is work; also how soon a waiting deployment is noticed.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long there should have been no work before the protection is given up: between two runs there is often a moment.
pub(crate) const IDLE_FOR: Duration = Duration::from_secs(10);

/// Protects the task while there are runs in hand, for ever. `in_hand` counts them. The times are [`IDLE_FOR`] and
/// [`ASK_AGAIN_AFTER`].
pub(crate) async fn keep(
    protection: &TaskProtection,
    mut in_hand: watch::Receiver<usize>,
    drain: &CancellationToken,
    idle_for: Duration,
    ask_again_after: Duration,
) {
    let mut is_at_work = false;
    let mut is_protected = false;
    loop {
        if !is_at_work {
            // The sender lives as long as the runner does.
            let _ = in_hand.wait_for(|count| *count > 0).await;
        }
        match protection.protect(FOR_MINUTES).await {
            Ok(Answer::Done) => is_protected = true,
            Ok(Answer::DeploymentWaits) if is_protected => {
                if !drain.is_cancelled() {
                    tracing::info!("A deployment waits for this runner's runs to end; draining");
                    drain.cancel();
                }
            }
            // It waits for others: new tasks get no protection either, as long as too many old ones have it.
            Ok(Answer::DeploymentWaits) => {}
            // SIGTERM ends a runner well at any time; protection only saves work.
            Err(error) => tracing::warn!(%error, "The task could not be protected"),
        }
        let idle = async {
            loop {
                let _ = in_hand.wait_for(|count| *count == 0).await;
                let busy_again = in_hand.wait_for(|count| *count > 0);
                if tokio::time::timeout(idle_for, busy_again).await.is_err() {
                    return;
                }
            }
        };
        is_at_work = tokio::time::timeout(ask_again_after, idle).await.is_err();
        // An idle task that stays protected would be in the way of every deployment.
        while is_protected && !is_at_work {
            match protection.release().await {
                Ok(_) => is_protected = false,
                Err(error) => {
                    tracing::warn!(%error, "The task's protection could not be given up; trying again");
                    let busy_again = in_hand.wait_for(|count| *count > 0);
                    is_at_work = tokio::time::timeout(idle_for, busy_again).await.is_ok();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Json;
    use axum::routing::put;
    use serde_json::{Value, json};

    use super::*;

    /// What stands for the container agent, which exists on ECS only: it notes what it is asked, and gives these answers,
    /// the last one again and again.
    async fn agent(
        answers: &[Value],
    ) -> (
        TaskProtection,
        watch::Receiver<Vec<Value>>,
        tokio::task::JoinSet<()>,
    ) {
        let (asked, seen) = watch::channel(Vec::new());
        let answers = answers.to_vec();
        let asked = Arc::new(Mutex::new(asked));
        let route = put(async move |Json(body): Json<Value>| {
            let asked = asked.lock().expect("no panic");
            let answer = answers.get(asked.borrow().len()).or(answers.last());
            let answer = answer.expect("an answer").clone();
            asked.send_modify(|all| all.push(body));
            Json(answer)
        });
        let router = axum::Router::new().route("/agent/task-protection/v1/state", route);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!(
            "http://{}/agent",
            listener.local_addr().expect("an address")
        );
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let protection = TaskProtection::new(&url.parse().expect("a URL")).expect("a client");
        (protection, seen, serving)
    }

    /// For as long as ECS gives it.
    fn protect() -> Value {
        json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 2880 })
    }

    fn release() -> Value {
        json!({ "ProtectionEnabled": false })
    }

    fn done() -> Value {
        json!({ "protection": {} })
    }

    fn blocked() -> Value {
        json!({ "failure": { "Arn": "task", "Detail": null, "Reason": "DEPLOYMENT_BLOCKED" } })
    }

    /// Waits until the agent was asked so often.
    async fn asked(seen: &mut watch::Receiver<Vec<Value>>, times: usize) {
        let waiting = seen.wait_for(|asked| asked.len() >= times);
        let asked = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        asked.expect("it is asked").expect("the agent lives");
    }

    #[tokio::test]
    async fn a_task_is_protected_while_it_has_runs_and_not_longer() {
        let (protection, mut seen, _serving) = agent(&[done()]).await;
        let (in_hand, receiver) = watch::channel(0);
        let drain = CancellationToken::new();
        let test = async {
            in_hand.send_replace(1);
            asked(&mut seen, 1).await;
            in_hand.send_replace(2);
            in_hand.send_replace(0);
            asked(&mut seen, 2).await;
        };
        tokio::select! {
            () = keep(&protection, receiver, &drain, Duration::ZERO, ASK_AGAIN_AFTER) => unreachable!("it keeps for ever"),
            () = test => {}
        }
        assert_eq!(*seen.borrow(), [protect(), release()]);
        assert!(!drain.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_whose_work_ended_just_before_the_next_asking_loses_its_protection_too() {
        let (protection, mut seen, _serving) = agent(&[done()]).await;
        let (in_hand, receiver) = watch::channel(1);
        let drain = CancellationToken::new();
        let (idle_for, ask_again_after) = (Duration::from_millis(300), Duration::from_millis(400));
        let test = async {
            asked(&mut seen, 1).await;
            // Later than that it would be too late to have been idle for long enough before the next asking. On a machine
            // that is too slow for this, the work ends after the next asking, which is as well.
            tokio::time::sleep(ask_again_after - idle_for / 2).await;
            in_hand.send_replace(0);
            seen.wait_for(|asked| asked.last() == Some(&release()))
                .await
                .expect("the agent lives");
        };
        tokio::select! {
            () = keep(&protection, receiver, &drain, idle_for, ask_again_after) => unreachable!("it keeps for ever"),
            ended = tokio::time::timeout(Duration::from_secs(20), test) => ended.expect("it is given up"),
        }
    }

    #[tokio::test]
    async fn a_protection_that_could_not_be_given_up_is_given_up_a_little_later() {
        let broken = json!({ "error": { "Arn": "task", "Code": "ServerException" } });
        let (protection, mut seen, _serving) = agent(&[done(), broken, done()]).await;
        let (in_hand, receiver) = watch::channel(1);
        let drain = CancellationToken::new();
        let test = async {
            asked(&mut seen, 1).await;
            in_hand.send_replace(0);
            asked(&mut seen, 3).await;
        };
        tokio::select! {
            () = keep(&protection, receiver, &drain, Duration::ZERO, ASK_AGAIN_AFTER) => unreachable!("it keeps for ever"),
            () = test => {}
        }
        assert_eq!(*seen.borrow(), [protect(), release(), release()]);
    }

    #[tokio::test]
    async fn a_deployment_that_waits_makes_the_runner_drain() {
        let (protection, seen, _serving) = agent(&[done(), blocked()]).await;
        let (_in_hand, receiver) = watch::channel(1);
        let drain = CancellationToken::new();
        tokio::select! {
            () = keep(&protection, receiver, &drain, Duration::ZERO, Duration::ZERO) => unreachable!("it keeps for ever"),
            () = drain.cancelled() => {}
        }
        assert_eq!(*seen.borrow(), [protect(), protect()]);
    }

    #[tokio::test]
    async fn a_deployment_that_waits_for_others_makes_no_runner_drain_that_is_not_protected() {
        let (protection, mut seen, _serving) = agent(&[blocked()]).await;
        let (_in_hand, receiver) = watch::channel(1);
        let drain = CancellationToken::new();
        tokio::select! {
            () = keep(&protection, receiver, &drain, Duration::ZERO, Duration::ZERO) => unreachable!("it keeps for ever"),
            () = asked(&mut seen, 2) => {}
        }
        assert!(!drain.is_cancelled());
    }

    #[tokio::test]
    async fn what_ecs_refuses_is_an_error_that_says_why() {
        let refused = json!({ "failure": { "Arn": "task", "Detail": "no service", "Reason": "TASK_NOT_VALID" } });
        let (protection, _seen, _serving) = agent(&[refused]).await;
        let error = protection
            .protect(15)
            .await
            .expect_err("refused")
            .to_string();
        assert_eq!(error, "ECS refused: TASK_NOT_VALID no service");
        let denied = json!({ "error": { "Arn": "task", "Code": "AccessDeniedException", "Message": "not allowed" } });
        let (protection, _seen, _serving) = agent(&[denied]).await;
        let error = protection.release().await.expect_err("refused").to_string();
        assert_eq!(error, "ECS refused: AccessDeniedException not allowed");
    }
}
