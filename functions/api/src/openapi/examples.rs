//! One example for each schema. A test holds each against its schema.

use serde_json::{Value, json};

use crate::Code;

const RUN: &str = "019ab0c8-7e10-7d3a-9c52-0f6f4c1b2a3d";
const WORKFLOW: &str = "019ab0c1-22f0-7b61-8f0e-9d0a1b2c3d4e";
const ARTIFACT: &str = "019ab0c9-10aa-7c44-a1b2-3c4d5e6f7081";
const API_KEY: &str = "019ab0b0-5d20-7a90-b3c4-d5e6f708192a";
const ENDPOINT: &str = "019ab0b5-9f30-7e12-8a9b-0c1d2e3f4a5b";
const INPUT_REQUEST: &str = "019ab0c8-9a40-7f55-9e8d-7c6b5a493827";

pub(super) const YAML: &str = r#"name: Employee roster
input:
  type: object
  properties: { baseUrl: { type: string, format: uri } }
  required: [baseUrl]
allowedOrigins: ["{{ input.baseUrl }}"]
states:
  - name: signing_in
    steps:
      - goto: "{{ input.baseUrl }}/login"
      - fill: { label: Email, value: "{{ secrets.hr_user }}" }
      - fill: { label: Password, value: "{{ secrets.hr_password }}" }
      - click: { role: button, name: Sign in }
  - name: extracting_employee_records
    steps:
      - extract:
          ready: { css: "table#employees" }
          rows: "table#employees tbody tr"
          fields: { name: "td:nth-child(1)", email: "td:nth-child(2)" }
          as: employees
output: { count: "{{ employees | length }}" }
"#;

/// The value of a path's parameter.
pub(super) fn of_path(path: &str, name: &Value) -> Value {
    match name.as_str() {
        Some("name") => json!("hr_password"),
        Some("version") => json!(1),
        _ if path.starts_with("/workflow-runs") => json!(RUN),
        _ if path.starts_with("/workflows") => json!(WORKFLOW),
        _ if path.starts_with("/artifacts") => json!(ARTIFACT),
        _ => json!(API_KEY),
    }
}

/// The body of a request.
pub(super) fn of_request(media_type: &str, schema: &Value) -> Value {
    if media_type == "application/yaml" {
        return json!(YAML);
    }
    match name_of(schema) {
        "CreateApiKey" => {
            json!({ "name": "nightly roster", "role": "operator", "userId": "roster-bot" })
        }
        "CreateWebhookEndpoint" => json!({
            "url": "https://hooks.example.com/legwork",
            "eventTypes": ["workflow_run.completed", "workflow_run.failed"],
            "description": "the roster service",
        }),
        "CreateWorkflowRun" => json!({
            "workflowId": WORKFLOW,
            "input": { "baseUrl": "https://portal.example.com" },
            "metadata": { "customer": "4711" },
            "secretBindings": { "hr_user": "acme_hr_user", "hr_password": "acme_hr_password" },
        }),
        "SaveWorkflow" => json!({ "definition": definition() }),
        "SetSecret" => json!({ "value": "correct horse battery staple" }),
        "UserInput" => json!({ "inputRequestId": INPUT_REQUEST, "values": { "code": "123456" } }),
        _ => Value::Null,
    }
}

/// The body of an answer.
pub(super) fn of_answer(schema: &Value) -> Value {
    match name_of(schema) {
        "WorkflowRun" => run(),
        "Page_WorkflowRunSummary" => page(run_summary()),
        "Artifact" => artifact(),
        "Page_Artifact" => page(artifact()),
        "Workflow" => {
            let mut workflow = workflow_summary();
            workflow["definition"] = definition();
            workflow
        }
        "Page_WorkflowSummary" => page(workflow_summary()),
        "WorkflowVersion" => {
            let mut version = version();
            version["definition"] = definition();
            version
        }
        "Page_WorkflowVersionSummary" => page(version()),
        "Validation" => json!({
            "valid": false,
            "errors": [{
                "pointer": "/definition/states/0/steps/1",
                "parameter": null,
                "message": "there is no step `clik`",
                "rule": "unknown-step",
                "suggestion": "click",
                "line": null,
                "column": null,
            }],
        }),
        "Page_Secret" => {
            page(json!({ "name": "acme_hr_user", "updatedAt": "2026-11-23T08:00:00.000Z" }))
        }
        "CreatedApiKey" => {
            let mut key = api_key();
            key["key"] = json!(format!("lw_{}", "0123456789abcdef".repeat(4)));
            key
        }
        "Page_ApiKey" => page(api_key()),
        "CreatedWebhookEndpoint" => json!({
            "id": ENDPOINT,
            "url": "https://hooks.example.com/legwork",
            "eventTypes": ["workflow_run.completed", "workflow_run.failed"],
            "description": "the roster service",
            "enabled": true,
            "createdAt": "2026-11-23T08:00:00.000Z",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        }),
        "Health" => json!({ "status": "ok" }),
        _ if schema["type"] == "object" => json!({ "openapi": "3.1.0" }),
        _ if schema["type"] == "string" => json!("<!doctype html>"),
        _ => Value::Null,
    }
}

/// A problem document of a code.
pub(super) fn of_problem(code: Code) -> Value {
    let (detail, errors) = match code {
        Code::ValidationFailed => (
            "/workflowId: this field is missing".to_owned(),
            json!([{
                "pointer": "/workflowId", "parameter": null, "message": "this field is missing",
                "rule": null, "suggestion": null, "line": null, "column": null,
            }]),
        ),
        Code::InvalidParameter => (
            "limit: must be a whole number from 1 to 100".to_owned(),
            json!([{
                "pointer": null, "parameter": "limit", "message": "must be a whole number from 1 to 100",
                "rule": null, "suggestion": null, "line": null, "column": null,
            }]),
        ),
        _ => (code.meaning().to_owned(), json!([])),
    };
    json!({
        "type": "about:blank",
        "title": code.title(),
        "status": code.status().as_u16(),
        "code": code,
        "detail": detail,
        "errors": errors,
    })
}

pub(super) fn definition() -> Value {
    json!({
        "name": "Employee roster",
        "input": {
            "type": "object",
            "properties": { "baseUrl": { "type": "string", "format": "uri" } },
            "required": ["baseUrl"],
        },
        "states": [{
            "name": "reading_the_roster",
            "steps": [
                { "goto": "{{ input.baseUrl }}/employees" },
                { "extract": {
                    "rows": "table#employees tbody tr",
                    "fields": { "name": "td:nth-child(1)", "email": "td:nth-child(2)" },
                    "as": "employees",
                } },
            ],
        }],
        "output": { "count": "{{ employees | length }}" },
    })
}

fn name_of(schema: &Value) -> &str {
    let reference = schema["$ref"].as_str().unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default()
}

fn page(entry: Value) -> Value {
    json!({ "data": [entry], "hasMore": true, "nextCursor": "AXvK2l0mP3wlMDE5YWIwYzgtN2UxMA" })
}

fn run_summary() -> Value {
    json!({
        "id": RUN,
        "workflowId": WORKFLOW,
        "workflowVersion": 1,
        "jobRunId": null,
        "createdByUserId": "roster-bot",
        "status": "AWAITING_USER_INPUT",
        "currentStateName": "entering_2fa_code",
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:00:04.512Z",
        "startedAt": "2026-11-23T09:00:00.061Z",
        "completedAt": null,
        "metadata": { "customer": "4711" },
        "failure": null,
        "noActionReason": null,
        "inputRequest": {
            "id": INPUT_REQUEST,
            "prompt": "Code sent to your phone",
            "message": null,
            "screenshotArtifactId": ARTIFACT,
            "fields": [{ "name": "code", "type": "code", "label": "Verification code", "options": [] }],
            "expiresAt": "2026-11-23T09:05:04.512Z",
            "triesLeft": 3,
        },
        "attempt": 1,
        "sequence": 4,
        "retryOfRunId": null,
        "timings": null,
    })
}

fn run() -> Value {
    let entry = |sequence: u64, status: &str, state: Option<&str>, attempt: u32, at: &str| json!({ "sequence": sequence, "status": status, "stateName": state, "attempt": attempt, "at": at, "skippedStates": [], "notBefore": null });
    let mut run = run_summary();
    run["input"] = json!({ "baseUrl": "https://portal.example.com" });
    run["output"] = Value::Null;
    run["stateHistory"] = json!([
        entry(1, "PENDING", None, 0, "2026-11-23T09:00:00.000Z"),
        entry(2, "IN_PROGRESS", None, 1, "2026-11-23T09:00:00.061Z"),
        entry(
            3,
            "IN_PROGRESS",
            Some("signing_in"),
            1,
            "2026-11-23T09:00:00.104Z"
        ),
        entry(
            4,
            "AWAITING_USER_INPUT",
            Some("entering_2fa_code"),
            1,
            "2026-11-23T09:00:04.512Z"
        ),
    ]);
    run
}

fn artifact() -> Value {
    json!({
        "id": ARTIFACT,
        "workflowRunId": RUN,
        "type": "extracted_data",
        "name": "employees.csv",
        "contentType": "text/csv",
        "sizeBytes": 18_204,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "stateName": "extracting_employee_records",
        "createdAt": "2026-11-23T09:00:09.870Z",
        "downloadUrl": "https://artifacts.example.com/employees.csv?X-Amz-Signature=0123",
        "downloadUrlExpiresAt": "2026-11-23T09:15:10.000Z",
    })
}

fn workflow_summary() -> Value {
    json!({
        "id": WORKFLOW,
        "name": "Employee roster",
        "version": 1,
        "createdAt": "2026-11-23T08:30:00.000Z",
        "updatedAt": "2026-11-23T08:30:00.000Z",
        "createdByUserId": "ada",
    })
}

fn version() -> Value {
    json!({ "version": 1, "createdAt": "2026-11-23T08:30:00.000Z", "createdByUserId": "ada" })
}

fn api_key() -> Value {
    json!({
        "id": API_KEY,
        "name": "nightly roster",
        "role": "operator",
        "userId": "roster-bot",
        "createdAt": "2026-11-23T08:00:00.000Z",
        "lastUsedAt": null,
    })
}
