//! The published description of the API (OpenAPI 3.1): generated from the code's types, checked in as openapi.json.
//!
//! The handlers describe what is theirs. What follows from a rule that holds everywhere is added here: the key, the
//! errors of each kind of call, the examples, and that no field of an answer is ever absent.

mod examples;

use serde_json::{Map, Value, json};

use crate::Code;

const DESCRIPTION: &str = "Legwork runs browser workflows for other programs.

Every call but those of the group Service needs an API key: `Authorization: Bearer <key>`. The key decides the organization; whatever belongs to another organization does not exist for it. Its role says what it may do: `viewer` reads, `operator` also runs, cancels, retries and answers, `admin` does everything.

Times are RFC 3339 in UTC with milliseconds, ids are UUIDs in lower case that sort by time. In an answer, a field without a value is `null`, never absent; new fields may be added, so ignore those that you don't know. In a request, a field that is not known is an error.

Lists are read in pages: `limit` and `cursor`, answered with `hasMore` and `nextCursor`. Errors are problem documents (RFC 9457) whose `code` is from a closed list. Every answer has an `x-request-id` to name it by when something is wrong.

An organization may make 100 requests a second on the average of a minute, and create 50 workflow runs a second on the average of ten seconds, unless the deployment says otherwise; what is over it is answered with 429 and `Retry-After`.";

/// What clients send. Of these, some fields may be left out; answers always have all of theirs.
const REQUESTS: &[&str] = &[
    "CreateApiKey",
    "CreateWebhookEndpoint",
    "CreateWorkflowRun",
    "SaveWorkflow",
    "SetSecret",
    "UserInput",
];

const TAGS: &[(&str, &str)] = &[
    (
        "Workflow runs",
        "One execution of a workflow: create it, follow it, answer it, cancel it.",
    ),
    (
        "Artifacts",
        "What runs produced: records, downloads, screenshots, logs.",
    ),
    (
        "Workflows",
        "What is executed: states and steps, in versions that never change.",
    ),
    (
        "Secrets",
        "What workflows sign in with. Values are written and used, never read.",
    ),
    ("Webhook endpoints", "Where events are posted to."),
    ("API keys", "Who may call the API, and what they may do."),
    (
        "Service",
        "The service about itself. These calls need no key.",
    ),
];

/// The whole document.
fn document() -> Value {
    let generated = crate::operations::description();
    let mut document = serde_json::to_value(generated).expect("it is plain data");
    document["info"] = json!({
        "title": "Legwork API",
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    // Relative to where the document is, so that it is right behind a stage or a domain mapping too.
    document["servers"] = json!([{ "url": "." }]);
    document["tags"] = TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    document["components"]["securitySchemes"] = json!({
        "apiKey": { "type": "http", "scheme": "bearer", "description": "An API key of the organization." }
    });
    document["security"] = json!([{ "apiKey": [] }]);
    document["components"]["headers"] = json!({
        "RequestId": { "description": "Names the request in the service's logs.", "schema": { "type": "string" } }
    });
    document["components"]["examples"] = Code::ALL
        .iter()
        .map(|code| {
            (
                code.word(),
                json!({ "summary": code.title(), "value": examples::of_problem(*code) }),
            )
        })
        .collect();
    document["components"]["schemas"]["ProblemCode"]["description"] =
        json!(problem(Code::ALL)["description"]);
    for (name, schema) in object_of(&mut document["components"]["schemas"]) {
        if !REQUESTS.contains(&name.as_str()) {
            require_all(schema);
        }
    }
    for (path, item) in object_of(&mut document["paths"]) {
        for (method, operation) in object_of(item) {
            complete(path, method, operation);
        }
    }
    unwrap_lines(&mut document);
    document
}

fn object_of(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("it is an object")
}

/// In an answer, a field without a value is null, never absent.
fn require_all(schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(require_all);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let names: Vec<&String> = properties.keys().collect();
    schema["required"] = json!(names);
}

/// Adds to an operation what follows from its kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let parameters = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let has = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
    let has_cursor = parameters
        .iter()
        .any(|parameter| parameter["name"] == "cursor");
    let has_key = parameters
        .iter()
        .any(|parameter| parameter["name"] == "Idempotency-Key");
    let is_open = operation.get("security").is_some();
    if is_open {
        operation["security"] = json!([]);
    }
    let given = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in given.into_iter().flatten() {
        never_null(&mut parameter["schema"]);
        if parameter["in"] == "path" && parameter.get("example").is_none() {
            parameter["example"] = examples::of_path(path, &parameter["name"]);
        }
    }

    let mut codes: Vec<Code> = Vec::new();
    if !is_open {
        codes.extend([
            Code::Unauthenticated,
            Code::RateLimited,
            Code::Internal,
            Code::Unavailable,
        ]);
        if method != "get" && !path.ends_with("/validate") || path == "/api-keys" {
            codes.push(Code::Forbidden);
        }
    }
    if has("path") {
        codes.extend([Code::BadRequest, Code::NotFound]);
    }
    if has("query") {
        codes.push(Code::InvalidParameter);
    }
    if has_cursor {
        codes.push(Code::InvalidCursor);
    }
    if has_key {
        // A replay finds nothing when the resource that the first call made was deleted.
        codes.extend([Code::BadRequest, Code::IdempotencyKeyReused, Code::NotFound]);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([
            Code::BadRequest,
            Code::InvalidJson,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
        ]);
    }
    let mut by_status: std::collections::BTreeMap<u16, Vec<Code>> =
        std::collections::BTreeMap::new();
    for code in Code::ALL {
        if codes.contains(code) {
            by_status
                .entry(code.status().as_u16())
                .or_default()
                .push(*code);
        }
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = problem(&codes);
    }
    if let Some(content) = operation.pointer_mut("/requestBody/content") {
        for (media_type, body) in object_of(content) {
            body["example"] = examples::of_request(media_type, &body["schema"]);
        }
    }
    for (status, response) in object_of(&mut operation["responses"]) {
        response["headers"]["x-request-id"] = json!({ "$ref": "#/components/headers/RequestId" });
        let is_problem = status.as_str() >= "400";
        let codes = documented_codes(&response["description"]);
        for (_, body) in response
            .get_mut("content")
            .map(object_of)
            .into_iter()
            .flatten()
        {
            if is_problem {
                body["examples"] = codes
                    .iter()
                    .map(|code| {
                        (
                            code.clone(),
                            json!({ "$ref": format!("#/components/examples/{code}") }),
                        )
                    })
                    .collect();
            } else {
                body["example"] = examples::of_answer(&body["schema"]);
            }
        }
    }
}

/// A parameter is given or left out; there is no null in a URL or a header.
fn never_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").filter(|types| types.is_array()) {
        let kept: Vec<Value> = types
            .as_array()
            .into_iter()
            .flatten()
            .filter(|name| *name != "null")
            .cloned()
            .collect();
        *types = kept.into_iter().next().unwrap_or_default();
    }
    if let Some(either) = schema.get("oneOf").and_then(Value::as_array) {
        let kept = either.iter().find(|part| part["type"] != "null").cloned();
        *schema = kept.unwrap_or_default();
    }
}

fn problem(codes: &[Code]) -> Value {
    let meanings: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.word(), code.meaning()))
        .collect();
    let mut response = json!({
        "description": meanings.join("\n\n"),
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    if codes
        .iter()
        .any(|code| matches!(code, Code::RateLimited | Code::Unavailable))
    {
        response["headers"] = json!({
            "retry-after": { "description": "In how many seconds to ask again.", "schema": { "type": "integer", "minimum": 1 } }
        });
    }
    response
}

/// The codes that the description of an error explains.
fn documented_codes(description: &Value) -> Vec<String> {
    let text = description.as_str().unwrap_or_default();
    let words = Code::ALL.iter().map(|code| code.word());
    words
        .filter(|word| text.contains(&format!("`{word}`:")))
        .collect()
}

/// Comments are broken into lines; paragraphs of a description are not.
fn unwrap_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "description" => {
                        let paragraphs: Vec<String> = text
                            .split("\n\n")
                            .map(|paragraph| paragraph.replace('\n', " "))
                            .collect();
                        *text = paragraphs.join("\n\n");
                    }
                    _ => unwrap_lines(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation, as (method and path, itself).
    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("a path has operations");
            item.iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        operations.collect()
    }

    #[test]
    fn the_checked_in_description_is_the_one_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let text = format!("{:#}\n", document());
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        if text != checked_in {
            std::fs::write(path, text).expect("the file can be written");
            panic!(
                "functions/api/openapi.json was not up to date; it is now, so look at the change and commit it"
            );
        }
    }

    #[test]
    fn every_operation_says_what_it_is_for_and_gives_examples() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for (name, operation) in operations(&document) {
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{name}: its id is taken"
            );
            assert!(operation["summary"].is_string(), "{name} has no summary");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    parameter["description"].is_string(),
                    "{name}: {} has no description",
                    parameter["name"]
                );
            }
            for (media_type, body) in operation["requestBody"]["content"]
                .as_object()
                .into_iter()
                .flatten()
            {
                assert!(
                    !body["example"].is_null(),
                    "{name}: the body as {media_type} has no example"
                );
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                assert!(
                    response["description"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{name}: {status} is not described"
                );
                for (_, body) in response["content"].as_object().into_iter().flatten() {
                    let has_example = !body["example"].is_null()
                        || body["examples"]
                            .as_object()
                            .is_some_and(|map| !map.is_empty());
                    assert!(has_example, "{name}: {status} has no example");
                }
            }
        }
    }

    #[test]
    fn every_example_is_what_its_schema_says() {
        let document = document();
        let check = |name: &str, schema: &Value, example: &Value| {
            let schema = json!({ "allOf": [schema], "components": document["components"] });
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .expect("the schema can be used");
            let errors: Vec<String> = validator
                .iter_errors(example)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        };
        for (code, example) in document["components"]["examples"]
            .as_object()
            .expect("examples")
        {
            check(
                code,
                &json!({ "$ref": "#/components/schemas/Problem" }),
                &example["value"],
            );
        }
        for (name, operation) in operations(&document) {
            for (_, body) in operation["requestBody"]["content"]
                .as_object()
                .into_iter()
                .flatten()
            {
                check(&name, &body["schema"], &body["example"]);
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                for (_, body) in response["content"].as_object().into_iter().flatten() {
                    if body.get("examples").is_none() {
                        check(
                            &format!("{name} {status}"),
                            &body["schema"],
                            &body["example"],
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_is_told_by_some_operation_or_belongs_to_no_path() {
        let text = document()["paths"].to_string();
        for code in Code::ALL {
            let is_of_no_path = matches!(code, Code::NoSuchPath | Code::MethodNotAllowed);
            let is_told = text.contains(&format!("`{}`:", code.word()));
            assert!(is_told != is_of_no_path, "{}", code.word());
        }
    }

    #[test]
    fn the_example_of_a_workflow_can_be_saved() {
        let json = examples::definition();
        domain::definition::Definition::parse_json(&json).expect("the example is right");
        domain::definition::Definition::parse_yaml(examples::YAML).expect("the example is right");
    }
}
