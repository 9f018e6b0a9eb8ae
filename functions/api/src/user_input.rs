//! Answers to what a run asks a person. The values are secrets: they are sealed beside the run, never in it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::InputRequestId;
use domain::run::{InputRequest, Phase, Rejected};
use serde::Deserialize;
use store::{Role, Transition, now};

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::FieldError;
use crate::segment::Segment;
use crate::{Api, Code, Problem, runs};

/// The longest value of one field, in characters.
const LONGEST_VALUE_CHARS: usize = 1000;

/// What all values together may have, so that KMS seals them in one call.
const LONGEST_ANSWER_BYTES: usize = 3500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    input_request_id: InputRequestId,
    values: BTreeMap<String, String>,
}

/// `POST /workflow-runs/{id}/user-input`.
pub(crate) async fn answer(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    body: Body,
) -> Result<Response, Problem> {
    caller.must_be(Role::Operator)?;
    let Answer {
        input_request_id,
        values,
    } = body.json()?;
    let run = runs::find_run(&api, &caller, &id).await?;
    if let Phase::AwaitingUserInput { request, .. } = &run.phase
        && request.id == input_request_id
    {
        check_values(request, &values)?;
    }
    match api
        .store
        .answer_run(run, input_request_id, &values, now())
        .await?
    {
        Transition::Committed(run) => {
            tracing::info!(run_id = %run.id, "A run's question was answered");
            let (run, view) = runs::show(&api, &caller, run.id).await?;
            let mut response = Json(view).into_response();
            runs::describe(&run, response.headers_mut());
            Ok(response)
        }
        Transition::Rejected { run, why } => Err(match why {
            Rejected::Ended(status) => {
                Problem::new(Code::RunEnded, format!("the run has ended as {status}"))
            }
            Rejected::OtherQuestion => Problem::new(
                Code::InputNotAwaited,
                "the run waits for the answer to another question by now",
            ),
            Rejected::NotDue => {
                Problem::new(Code::InputNotAwaited, "the time for the answer is over")
            }
            _ => Problem::new(
                Code::InputNotAwaited,
                format!("the run is {}, and asks nothing", run.status()),
            ),
        }),
    }
}

fn check_values(request: &InputRequest, values: &BTreeMap<String, String>) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for field in &request.fields {
        let pointer = format!("/values/{}", field.name);
        match values.get(&field.name) {
            None => errors.push(FieldError::new(pointer, "this value is missing")),
            Some(value) if value.trim().is_empty() => {
                errors.push(FieldError::new(pointer, "this value is empty"))
            }
            Some(value) if value.chars().count() > LONGEST_VALUE_CHARS => {
                let message = format!("a value has at most {LONGEST_VALUE_CHARS} characters");
                errors.push(FieldError::new(pointer, message));
            }
            Some(_) => {}
        }
    }
    for name in values.keys() {
        if !request.fields.iter().any(|field| field.name == *name) {
            let pointer = format!("/values/{}", name.replace('~', "~0").replace('/', "~1"));
            errors.push(FieldError::new(pointer, "the run does not ask for this"));
        }
    }
    if values.values().map(String::len).sum::<usize>() > LONGEST_ANSWER_BYTES {
        let message = format!("all values together have at most {LONGEST_ANSWER_BYTES} bytes");
        errors.push(FieldError::new("/values", message));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::of_fields(errors))
    }
}
