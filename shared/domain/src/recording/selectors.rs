//! The selectors of a recording to locators: css, `aria/`, `text/`, `xpath/`, `pierce/`, chains of them, iframes.

use serde_json::{Map, Value, json};

use crate::definition::{check_css, check_xpath, is_role};

/// What a selector is for, which decides what an accessible name without a role can mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Something is entered.
    Field,
    /// Something else is done with it.
    Other,
}

/// Locators, in their order, and what was left out.
#[derive(Default)]
pub(super) struct Located {
    pub(super) alternatives: Vec<Value>,
    pub(super) left_out: Vec<String>,
}

impl Located {
    /// Reads the `selectors` of a step.
    pub(super) fn read(step: &Map<String, Value>, purpose: Purpose) -> Self {
        let mut located = Self::default();
        let Some(Value::Array(selectors)) = step.get("selectors") else {
            return located;
        };
        let frame = frame_of(step);
        for selector in selectors {
            let chain: Vec<&str> = match selector {
                Value::String(selector) => vec![selector],
                Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            match chained(&chain, purpose) {
                Ok(alternatives) => {
                    for mut alternative in alternatives {
                        if let Some(frame) = &frame {
                            put_into(&mut alternative, frame);
                        }
                        if !located.alternatives.contains(&alternative) {
                            located.alternatives.push(alternative);
                        }
                    }
                }
                Err(why) => located
                    .left_out
                    .push(format!("the selector `{}` ({why})", chain.join(" »  "))),
            }
        }
        located
    }

    /// The locator's keys, to stand in a verb's map; alternatives stand under `within`-less keys only if there is one.
    pub(super) fn single(&self) -> Option<&Value> {
        match self.alternatives.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The locator as a value: a map, or a list of alternatives.
    pub(super) fn value(&self) -> Option<Value> {
        match self.alternatives.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            several => Some(Value::from(several.to_vec())),
        }
    }

    /// The CSS selector among the alternatives, for scripts.
    pub(super) fn css(&self) -> Option<&str> {
        self.alternatives
            .iter()
            .filter(|alternative| alternative.get("within").is_none())
            .find_map(|alternative| alternative["css"].as_str())
    }
}

/// The iframe of a step: indexes from the page inwards.
pub(super) fn frame_of(step: &Map<String, Value>) -> Option<Value> {
    let Some(Value::Array(indexes)) = step.get("frame") else {
        return None;
    };
    indexes
        .iter()
        .filter_map(Value::as_u64)
        .fold(None, |outer, index| {
            let mut frame = json!({"css": "iframe, frame", "nth": index.min(100_000)});
            if let Some(outer) = outer {
                frame["frame"] = outer;
            }
            Some(frame)
        })
}

/// Each part of a chain is inside of the one before it.
fn chained(chain: &[&str], purpose: Purpose) -> Result<Vec<Value>, String> {
    let mut outer: Option<Value> = None;
    let parts: Vec<&str> = chain
        .iter()
        .flat_map(|part| deep_parts(part))
        .map(str::trim)
        .collect();
    let (last, before) = parts.split_last().ok_or("it is empty")?;
    for part in before {
        let mut locators = single(part, Purpose::Other)?;
        let mut locator = locators.swap_remove(0);
        if let Some(outer) = outer.take() {
            locator["within"] = outer;
        }
        outer = Some(locator);
    }
    let mut alternatives = single(last, purpose)?;
    if let Some(outer) = outer {
        for alternative in &mut alternatives {
            alternative["within"] = outer.clone();
        }
    }
    Ok(alternatives)
}

/// The parts of a CSS selector between Puppeteer's deep combinators `>>>` and `>>>>`.
fn deep_parts(selector: &str) -> Vec<&str> {
    let has_prefix = ["aria/", "text/", "xpath/"]
        .iter()
        .any(|prefix| selector.starts_with(prefix));
    if has_prefix || !selector.contains(">>>") {
        return vec![selector];
    }
    selector
        .split(">>>")
        .map(|part| part.trim_start_matches('>'))
        .collect()
}

fn single(selector: &str, purpose: Purpose) -> Result<Vec<Value>, String> {
    if let Some(aria) = selector.strip_prefix("aria/") {
        return aria_locators(aria, purpose);
    }
    if let Some(text) = selector.strip_prefix("text/") {
        return named(text).map(|text| vec![json!({"text": text})]);
    }
    if let Some(xpath) = selector.strip_prefix("xpath/") {
        check_xpath(xpath)?;
        return Ok(vec![json!({"xpath": literal(xpath)})]);
    }
    let css = selector.strip_prefix("pierce/").unwrap_or(selector);
    if css.contains("::-p-") {
        return Err("a pseudo-element of Puppeteer's own".to_owned());
    }
    check_css(css)?;
    Ok(vec![json!({"css": literal(css)})])
}

/// `aria/Name`, `aria/Name[role="button"]`, `aria/[role="button"]`.
fn aria_locators(aria: &str, purpose: Purpose) -> Result<Vec<Value>, String> {
    let (name, role) = match aria.rsplit_once("[role=\"") {
        Some((name, rest)) => match rest.strip_suffix("\"]") {
            Some(role) => (name, Some(role)),
            None => (aria, None),
        },
        None => (aria, None),
    };
    let name = name.trim();
    if let Some(role) = role {
        if !is_role(role) {
            return Err(format!("`{role}` is not an ARIA role"));
        }
        if name.is_empty() {
            return Ok(vec![json!({"role": role})]);
        }
        return Ok(vec![
            json!({"role": role, "name": named(name)?, "exact": true}),
        ]);
    }
    let name = named(name)?;
    let label = json!({"label": name, "exact": true});
    // A name without a role: what people click has mostly one of these, in this order.
    let placeholder = json!({"placeholder": name, "exact": true});
    Ok(match purpose {
        Purpose::Field => vec![label, placeholder],
        Purpose::Other => vec![
            json!({"role": "button", "name": name, "exact": true}),
            json!({"role": "link", "name": name, "exact": true}),
            label,
            placeholder,
            json!({"text": name, "exact": true}),
        ],
    })
}

fn named(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it names nothing".to_owned());
    }
    Ok(literal(text))
}

fn put_into(locator: &mut Value, frame: &Value) {
    match locator.get_mut("within") {
        Some(outer) => put_into(outer, frame),
        None => locator["frame"] = frame.clone(),
    }
}

/// A text as a template that makes just this text.
pub(super) fn literal(text: &str) -> String {
    let mut template = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '{' && matches!(chars.peek(), Some('{' | '%')) {
            template.push_str("{{ '{' }}");
        } else {
            template.push(c);
        }
    }
    template
}
