//! The JSON Schema of a workflow's input: tried when the workflow is saved, used when a run is created.

use jsonschema::Validator;
use serde_json::Value;

use crate::problem::FieldError;

/// How many errors of one input are reported.
const MOST_ERRORS: usize = 100;

/// Builds the validator, or says what is wrong with the schema. References to other documents are refused: nothing is
/// fetched for them.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    if let Err(error) = jsonschema::meta::validate(schema) {
        return Err(format!("this is no JSON Schema: {error}"));
    }
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|_| "this JSON Schema can't be used: its references must stay inside it, and its patterns must be regular expressions".to_owned())
}

/// What is wrong with an input.
pub(crate) fn errors_of(validator: &Validator, input: &Value) -> Vec<FieldError> {
    validator
        .iter_errors(input)
        .take(MOST_ERRORS)
        .map(|error| {
            FieldError::new(
                format!("/input{}", error.instance_path()),
                error.to_string(),
            )
        })
        .collect()
}
