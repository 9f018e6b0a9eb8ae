//! Answers to what a run asks a person. The values are secrets: they are sealed beside the run, never in it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use domain::run::{InputRequest, Phase, Rejected};
use domain::wire::RunView;
use domain::{InputRequestId, RunId};
use serde::Deserialize;
use store::{Role, Transition, now};
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Caller;
use crate::problem::{FieldError, ProblemView, pointer_token};
use crate::runs::{find_run, show};
use crate::segment::Segment;
use crate::{Api, Code, Problem};

/// The longest value of one field, in characters.
const LONGEST_VALUE_CHARS: usize = 1000;

/// What all values together may have as JSON, names included, so that KMS seals them in one call: it takes 4,096.
const LONGEST_ANSWER_BYTES: usize = 4000;

/// An answer to what a run asks a person.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UserInput)]
pub(crate) struct Answer {
    /// The `id` of the run's `inputRequest`, so that an answer can't be taken for that of another question.
    input_request_id: InputRequestId,
    /// One value for each of the request's fields, by name; each has 1 to 1000 characters. That of a choice is one of its
    /// `options`, that of a confirmation is `yes` or `no`. They are kept encrypted, and only until the run has read them.
    values: BTreeMap<String, String>,
}

/// Answer what a run asks a person
///
/// Each question can be answered once, until it expires. Needs the role operator.
#[utoipa::path(
    post, path = "/workflow-runs/{id}/user-input", operation_id = "answerWorkflowRun", tag = "Workflow runs",
    params(("id" = RunId, Path, description = "The run's id.")),
    request_body(content = Answer, content_type = "application/json"),
    responses(
        (status = 200, description = "The run, which has the answer and goes on.", body = RunView, headers(
            ("etag" = String, description = "The run's sequence number."),
            ("retry-after" = u32, description = "In how many seconds to ask for it again.")
        )),
        (status = 409, description = "`input_not_awaited`: the run asks nobody, asks something else by now, or the time is over. `run_ended`: it has ended.",
            body = ProblemView, content_type = "application/problem+json")
    )
)]
pub(crate) async fn answer_question(
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
    let run = find_run(&api, &caller, &id).await?;
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
        Transition::Committed(run) => show(&api, &caller, run.id).await,
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
            Some(value) if !field.options.is_empty() && !field.options.contains(value) => {
                // What was given is not repeated: it may be a secret that was meant for another field.
                let message = format!("must be one of {}", field.options.join(", "));
                errors.push(FieldError::new(pointer, message));
            }
            Some(value) if value.chars().count() > LONGEST_VALUE_CHARS => {
                let message = format!("a value has at most {LONGEST_VALUE_CHARS} characters");
                errors.push(FieldError::new(pointer, message));
            }
            Some(value) if !field.offers(value) => {
                let message = "this is not one of the values that can be chosen";
                errors.push(FieldError::new(pointer, message));
            }
            Some(_) => {}
        }
    }
    for name in values.keys() {
        if !request.fields.iter().any(|field| field.name == *name) {
            let pointer = format!("/values/{}", pointer_token(name));
            errors.push(FieldError::new(pointer, "the run does not ask for this"));
        }
    }
    let sealed = serde_json::to_vec(values).map_or(usize::MAX, |json| json.len());
    if sealed > LONGEST_ANSWER_BYTES {
        let message =
            format!("as JSON, all values together have at most {LONGEST_ANSWER_BYTES} bytes");
        errors.push(FieldError::new("/values", message));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::of_fields(errors))
    }
}

#[cfg(test)]
mod tests {
    use domain::run::InputField;

    use super::*;

    #[test]
    fn a_choice_is_answered_by_one_of_its_options_and_nothing_else() {
        let field = |name: &str, kind: &str, options: &[&str]| InputField {
            name: name.to_owned(),
            kind: kind.to_owned(),
            label: name.to_owned(),
            options: options.iter().map(ToString::to_string).collect(),
        };
        let at = now();
        let request = InputRequest {
            id: InputRequestId::new(at, [1; 10]),
            prompt: "Which?".to_owned(),
            message: None,
            screenshot_artifact_id: None,
            fields: vec![
                field("account", "choice", &["Payroll", "Staff"]),
                field("sure", "confirmation", &[]),
                field("note", "text", &[]),
            ],
            expires_at: at,
            tries_left: 1,
        };
        let is_taken = |account: &str, sure: &str| {
            let values = [("account", account), ("sure", sure), ("note", "anything")];
            let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
            check_values(&request, &BTreeMap::from(values)).is_ok()
        };
        assert!(is_taken("Payroll", "yes") && is_taken("Staff", "no"));
        assert!(!is_taken("payroll", "yes") && !is_taken("Staff", "maybe"));
    }
}
