//! What a run begins with: its input from the command line, its secrets from anywhere but there, since every process
//! of the machine can read a command line.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, bail};
use domain::definition::{Definition, Secret};
use platform::configuration::Environment;
use serde_json::{Map, Value};

use super::prompt;
use crate::display;

/// The variable that holds a secret is called so, with the secret's name in capital letters.
const SECRET_PREFIX: &str = "LEGWORK_SECRET_";

/// Makes the input of a file and of `NAME=VALUE`s, and checks it against the definition's schema.
pub(super) fn input(
    definition: &Definition,
    pairs: &[String],
    file: Option<&Path>,
) -> anyhow::Result<Value> {
    let mut input = match file {
        Some(file) => object(file)?,
        None => Map::new(),
    };
    let properties = definition
        .input
        .as_ref()
        .and_then(|schema| schema.as_json().get("properties"));
    for pair in pairs {
        let Some((name, text)) = pair.split_once('=') else {
            bail!("`--input {pair}` is not NAME=VALUE");
        };
        let wanted = properties.and_then(|properties| properties.get(name)?.get("type"));
        input.insert(name.to_owned(), value(text, wanted));
    }
    let input = Value::Object(input);
    if let Some(schema) = &definition.input {
        return schema.complete(input).or_else(|errors| {
            for error in &errors {
                display::note(&format!("input{}: {}", error.pointer, error.message));
            }
            bail!("the input is not what the workflow takes")
        });
    }
    Ok(input)
}

/// Text stays text where the schema wants text, or says nothing and it is no JSON.
fn value(text: &str, wanted: Option<&Value>) -> Value {
    let is_text = wanted.and_then(Value::as_str) == Some("string");
    let json = (!is_text).then(|| serde_json::from_str(text).ok());
    json.flatten().unwrap_or_else(|| Value::from(text))
}

/// Finds the values of all secrets that the definition names.
pub(super) async fn secrets(
    definition: &Definition,
    file: Option<&Path>,
    environment: &Environment,
) -> anyhow::Result<BTreeMap<String, Secret>> {
    let mut kept = match file {
        Some(file) => object(file)?,
        None => Map::new(),
    };
    let mut secrets = BTreeMap::new();
    let mut missing = Vec::new();
    for name in definition.secret_names() {
        let variable = format!("{SECRET_PREFIX}{}", name.to_uppercase());
        let value = match (kept.remove(name), environment.get(&variable)) {
            (Some(Value::String(value)), _) => Secret::new(value),
            (Some(_), _) => bail!("the secret `{name}` in the file is not text"),
            (None, Some(value)) => Secret::new(value),
            (None, None) if std::io::stdin().is_terminal() => prompt::hidden(name).await?,
            (None, None) => {
                missing.push(format!("{name} ({variable})"));
                continue;
            }
        };
        secrets.insert(name.clone(), value);
    }
    if !missing.is_empty() {
        bail!("there is no value for the secrets {}", missing.join(", "));
    }
    Ok(secrets)
}

fn object(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} can't be read"))?;
    // What is wrong with the JSON is said without the text around it: it may be a secret.
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => bail!("{name} does not hold a JSON object"),
        Err(error) => bail!(
            "{name} is not JSON: see line {}, column {}",
            error.line(),
            error.column()
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_the_type_that_the_schema_wants() {
        let text = json!("string");
        let number = json!("number");
        assert_eq!(value("01234", Some(&text)), json!("01234"));
        assert_eq!(value("12", Some(&text)), json!("12"));
        assert_eq!(value("12", Some(&number)), json!(12));
        assert_eq!(value("[1, 2]", None), json!([1, 2]));
        assert_eq!(
            value("http://a.test/?b=c", None),
            json!("http://a.test/?b=c")
        );
    }
}
