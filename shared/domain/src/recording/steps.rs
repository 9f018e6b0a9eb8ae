//! Each step of a recording to steps of a workflow.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::keys::Keyboard;
use super::outline::{Document, Outline, Secrets, States};
use super::selectors::{Located, Purpose, frame_of, literal};
use crate::definition::is_key;

/// What a password field's selectors or labels have in them.
const SECRET_PARTS: &[&str] = &[
    "passw",
    "passcode",
    "passphrase",
    "kennwort",
    "contraseñ",
    "mot de passe",
    "motdepasse",
    "senha",
    "wachtwoord",
    "secret",
    "one-time",
    "one time",
];
/// What they have in them as a word of its own.
const SECRET_WORDS: &[&str] = &[
    "pwd", "pw", "token", "otp", "totp", "2fa", "mfa", "pin", "cvc", "cvv",
];
/// Words beside which a code is none that must be kept secret.
const OF_OPEN_CODES: &[&str] = &[
    "zip",
    "postal",
    "post",
    "country",
    "area",
    "city",
    "dial",
    "promo",
    "promotion",
    "coupon",
    "discount",
    "voucher",
    "product",
    "item",
    "color",
    "colour",
    "currency",
    "language",
    "source",
];
/// The longest time-out of a step, in milliseconds: as long as a duration may be.
const LONGEST_TIMEOUT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The translation of one recording.
pub(super) struct Translation {
    states: States,
    secrets: Secrets,
    keyboard: Keyboard,
    warnings: Vec<String>,
    origins: BTreeSet<String>,
    viewport: Option<(u64, u64)>,
    timeout_ms: Option<u64>,
    /// The tab of the step before: `main`, or the URL with which it opened.
    target: String,
    main_url: Option<String>,
    /// Whether the last click was on a password field, so that keys would be typed into it.
    is_in_secret_field: bool,
    /// How the present step is called in warnings.
    step: String,
    said_positions: bool,
    said_frames: bool,
}

impl Translation {
    pub(super) fn new(timeout_ms: Option<u64>) -> Self {
        Self {
            states: States::default(),
            secrets: Secrets::default(),
            keyboard: Keyboard::default(),
            warnings: Vec::new(),
            origins: BTreeSet::new(),
            viewport: None,
            timeout_ms,
            target: "main".to_owned(),
            main_url: None,
            is_in_secret_field: false,
            step: String::new(),
            said_positions: false,
            said_frames: false,
        }
    }

    /// Translates the step with this index.
    pub(super) fn translate(&mut self, index: usize, step: &Value) {
        let Value::Object(step) = step else {
            self.step = format!("step {index}");
            return self.warn("is not a map");
        };
        let kind = step.get("type").and_then(Value::as_str).unwrap_or_default();
        self.step = format!("step {index} ({kind})");
        if !matches!(
            kind,
            "setViewport" | "navigate" | "close" | "emulateNetworkConditions"
        ) {
            self.change_tab(step);
        }
        match kind {
            "setViewport" => self.set_viewport(step),
            "navigate" => self.navigate(step),
            "click" | "doubleClick" => self.click(kind, step),
            "hover" => self.act(step, Purpose::Other, |target| json!({"hover": target})),
            "change" => self.change(step),
            "keyDown" => self.key_down(step),
            "keyUp" => {
                let key = text(step, "key");
                if let Some(modifier) = self.keyboard.up(key) {
                    self.warn(&format!("a press of `{modifier}` alone has no counterpart"));
                }
            }
            "scroll" => self.scroll(step),
            "waitForElement" => self.wait_for_element(step),
            "waitForExpression" => self.wait_for_expression(step),
            "close" => self.close(step),
            "emulateNetworkConditions" => {
                self.warn("a slow network has no counterpart in a workflow");
            }
            "customStep" => {
                let name = text(step, "name").to_owned();
                let parameters = step.get("parameters").map(Value::to_string);
                let parameters = parameters.unwrap_or_default();
                self.warn(&format!(
                    "the custom step `{name}` means something to its extension only {}",
                    shorten(&parameters)
                ));
            }
            _ => self.warn("this kind of step is not known"),
        }
        self.assert_events(kind, step);
    }

    /// Gives what the recording has become.
    pub(super) fn finish(mut self, title: &str) -> Outline {
        // What was typed into a password field can stand in steps before it, too.
        for warning in &mut self.warnings {
            if self.secrets.are_in(warning) {
                "something that holds a secret is left out".clone_into(warning);
            }
        }
        self.warnings.extend(self.states.hide(&self.secrets));
        let states = self.states.finish();
        let title = if self.secrets.are_in(title) {
            ""
        } else {
            title
        };
        let title: String = title
            .chars()
            .filter(|c| !c.is_control())
            .take(190)
            .collect();
        let title = if title.trim().is_empty() {
            "Recording".to_owned()
        } else {
            title.trim().to_owned()
        };
        let document = (!states.is_empty()).then_some(Document {
            title,
            origins: self.origins,
            viewport: self.viewport,
            states,
        });
        Outline {
            document,
            warnings: self.warnings,
            secrets: self.secrets.names,
        }
    }

    /// Says what could not be translated, here and at the top; never with what was typed into a password field.
    fn warn(&mut self, what: &str) {
        let warning = format!("{}: {what}", self.step);
        let warning = if self.secrets.are_in(&warning) {
            format!("{}: something that holds a secret is left out", self.step)
        } else {
            warning
        };
        self.states.comment(&warning);
        self.warnings.push(warning);
    }

    /// Adds a step, with its time-out.
    fn push(&mut self, step: &Map<String, Value>, mut made: Value) {
        let own = step.get("timeout").and_then(Value::as_u64);
        if let Some(timeout_ms) = own
            .or(self.timeout_ms)
            .filter(|ms| (1..=LONGEST_TIMEOUT_MS).contains(ms))
        {
            let duration = match timeout_ms % 1_000 {
                0 => format!("{}s", timeout_ms / 1_000),
                _ => format!("{timeout_ms}ms"),
            };
            made["timeout"] = json!(duration);
        }
        self.states.push(made);
    }

    fn change_tab(&mut self, step: &Map<String, Value>) {
        let target = step.get("target").and_then(Value::as_str).unwrap_or("main");
        if target == self.target {
            return;
        }
        let url = if target == "main" {
            self.main_url.clone()
        } else {
            Some(target.to_owned())
        };
        target.clone_into(&mut self.target);
        match url {
            Some(url) => {
                self.note_origin(&url);
                if target != "main" && !self.said_frames {
                    self.said_frames = true;
                    self.states.comment(
                        "If this was an iframe of another origin and not a tab, put the steps into `frame`.",
                    );
                }
                self.push(step, json!({"tab": {"switch": pattern_of(&url, None)}}));
            }
            None => self.warn("goes back to the first tab, whose URL is not known"),
        }
    }

    fn set_viewport(&mut self, step: &Map<String, Value>) {
        let size = (number(step, "width"), number(step, "height"));
        let is_possible = [size.0, size.1]
            .iter()
            .all(|pixels| (100..=10_000).contains(pixels));
        if self.viewport.is_some() || !is_possible {
            if self.viewport != Some(size) {
                self.warn("the window has one size in a workflow, from 100 to 10000 pixels");
            }
            return;
        }
        self.viewport = Some(size);
        let factor = step.get("deviceScaleFactor").and_then(Value::as_f64);
        let is_phone = ["isMobile", "hasTouch", "isLandscape"]
            .iter()
            .any(|key| step.get(*key) == Some(&Value::Bool(true)));
        if is_phone
            || factor.is_some_and(|factor| (factor - 1.0).abs() > f64::EPSILON && factor != 0.0)
        {
            self.warn("only width and height of the device are kept");
        }
    }

    fn navigate(&mut self, step: &Map<String, Value>) {
        let url = text(step, "url").to_owned();
        let is_web =
            url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web {
            // Recordings begin on the page of a new tab, and nothing is lost without it.
            if !url.starts_with("chrome://new") && url != "about:blank" {
                self.warn("only http and https URLs can be opened");
            }
            return;
        }
        let title = asserted(step, "title");
        self.states.begin(title, Some(&url));
        self.note_origin(&url);
        self.main_url = Some(url.clone());
        self.push(step, json!({"goto": literal(&url)}));
    }

    fn note_origin(&mut self, url: &str) {
        if let Ok(url) = url::Url::parse(url)
            && matches!(url.scheme(), "http" | "https")
        {
            self.origins.insert(url.origin().ascii_serialization());
        }
    }

    /// Reads the selectors; says what is left out; gives nothing if nothing is left.
    fn locate(&mut self, step: &Map<String, Value>, purpose: Purpose) -> Option<Located> {
        let located = Located::read(step, purpose);
        let what = if located.alternatives.is_empty() {
            "the whole step is left out, as it has no selector that can be translated"
        } else {
            "an alternative is left out"
        };
        if located.left_out.is_empty() && located.alternatives.is_empty() {
            self.warn("the whole step is left out, as it has no selectors");
        }
        for left_out in &located.left_out {
            self.warn(&format!("{what}: {left_out}"));
        }
        (!located.alternatives.is_empty()).then_some(located)
    }

    fn act(&mut self, step: &Map<String, Value>, purpose: Purpose, make: impl Fn(Value) -> Value) {
        if let Some(target) = self
            .locate(step, purpose)
            .and_then(|located| located.value())
        {
            self.push(step, make(target));
        }
    }

    fn click(&mut self, kind: &str, step: &Map<String, Value>) {
        let modifiers = self.keyboard.hold_for_click().to_vec();
        self.is_in_secret_field = is_secret_field(step);
        let button = match step.get("button").and_then(Value::as_str) {
            None | Some("primary") => None,
            Some("secondary") => Some("right"),
            Some("auxiliary") => Some("middle"),
            Some(other) => {
                self.warn(&format!(
                    "the mouse's button `{}` has no counterpart",
                    shorten(other)
                ));
                return;
            }
        };
        if matches!(
            step.get("deviceType").and_then(Value::as_str),
            Some("touch" | "pen")
        ) {
            self.warn("a touch or a pen becomes a click of the mouse");
        }
        if step.get("duration").and_then(Value::as_f64).unwrap_or(0.0) > 200.0 {
            self.warn("the button is not held down: a long press becomes a click");
        }
        let Some(located) = self.locate(step, Purpose::Other) else {
            return;
        };
        if !self.said_positions && (step.contains_key("offsetX") || step.contains_key("offsetY")) {
            self.said_positions = true;
            self.states
                .comment("Positions within elements are not kept: clicks go to the middle.");
        }
        let is_plain = button.is_none() && modifiers.is_empty();
        if kind == "doubleClick" || is_plain {
            if kind == "doubleClick" && !is_plain {
                self.warn("a double click is made with the main button, without keys");
            }
            if let Some(target) = located.value() {
                self.push(step, json!({ kind: target }));
            }
            return;
        }
        let mut options = in_map(&located);
        if let Some(button) = button {
            options["button"] = button.into();
        }
        if !modifiers.is_empty() {
            options["modifiers"] = modifiers.into();
        }
        self.push(step, json!({"click": options}));
    }

    fn change(&mut self, step: &Map<String, Value>) {
        let value = text(step, "value").to_owned();
        let is_secret = is_secret_field(step) || self.secrets.known(&value).is_some();
        // Before anything is said of the step, so that no warning shows the value.
        let value = if is_secret && !value.is_empty() {
            let name = secret_name(step);
            self.secrets.template(&value, name)
        } else {
            json!(literal(&value))
        };
        let Some(located) = self.locate(step, Purpose::Field) else {
            return;
        };
        let mut options = in_map(&located);
        let is_list = is_list_field(step) && !is_secret;
        let (verb, key) = if is_list {
            ("select", "option")
        } else {
            ("fill", "value")
        };
        options[key] = value;
        self.push(step, json!({ verb: options }));
    }

    fn key_down(&mut self, step: &Map<String, Value>) {
        let Some(press) = self.keyboard.down(text(step, "key")) else {
            return;
        };
        let is_character = press.chars().count() == 1;
        if is_character && self.is_in_secret_field {
            return self.warn("a key that was typed into a password field is left out");
        }
        if !is_key(&press) {
            return self.warn(&format!("the key `{}` has no counterpart", shorten(&press)));
        }
        let is_same = |last: &Value| {
            (last["press"].as_str() == Some(&press)
                || last["press"]["key"].as_str() == Some(&press))
                && last.get("timeout").is_none()
        };
        if let Some(last) = self.states.last_step().filter(|last| is_same(last)) {
            let times = last["press"]["times"].as_i64().unwrap_or(1);
            if times < 1_000 {
                last["press"] = json!({"key": press, "times": times + 1});
                return;
            }
        }
        self.push(step, json!({ "press": literal(&press) }));
    }

    fn scroll(&mut self, step: &Map<String, Value>) {
        let (x, y) = (number(step, "x"), number(step, "y"));
        let distance = json!({"x": x.min(1_000_000), "y": y.min(1_000_000)});
        let is_top = x == 0 && y == 0;
        let steps = if step.contains_key("selectors") {
            let Some(located) = self.locate(step, Purpose::Other) else {
                return;
            };
            let with = |key: &str, value: Value| {
                let mut options = in_map(&located);
                options[key] = value;
                json!({ "scroll": options })
            };
            vec![with("to", "top".into()), with("by", distance)]
        } else {
            vec![
                json!({"scroll": "top"}),
                json!({"scroll": {"by": distance}}),
            ]
        };
        // Positions are counted from the beginning.
        let steps = steps
            .into_iter()
            .take(if is_top { 1 } else { 2 })
            .collect::<Vec<_>>();
        match frame_of(step).filter(|_| !step.contains_key("selectors")) {
            Some(mut frame) => {
                frame["steps"] = steps.into();
                self.push(step, json!({ "frame": frame }));
            }
            None => steps.into_iter().for_each(|made| self.push(step, made)),
        }
    }

    fn wait_for_element(&mut self, step: &Map<String, Value>) {
        let Some(located) = self.locate(step, Purpose::Other) else {
            return;
        };
        let Some(target) = located.value() else {
            return;
        };
        let operator = step.get("operator").and_then(Value::as_str).unwrap_or(">=");
        let count = step.get("count").and_then(Value::as_u64).unwrap_or(1);
        // Without it, the whole of what the step waits for must not be so.
        let is_wanted = step.get("visible").and_then(Value::as_bool).unwrap_or(true);
        let mut conditions = Vec::new();
        match (operator, count, is_wanted) {
            (">=", 0, _) => {}
            ("==" | "<=", 0, false) | (">=", 1, true) => {
                conditions.push(json!({"attached": target}));
            }
            ("==" | "<=", 0, true) | (">=", 1, false) => {
                conditions.push(json!({"detached": target}));
            }
            _ => match located.css().filter(|_| frame_of(step).is_none()) {
                Some(css) => {
                    let operator = match operator {
                        "<=" | ">=" => operator,
                        _ => "==",
                    };
                    let not = if is_wanted { "" } else { "!" };
                    conditions.push(json!({
                        "script": format!("{not}(document.querySelectorAll({}).length {operator} {count})", json!(css)),
                    }));
                }
                None => {
                    self.warn("how many elements there must be can only be waited for by CSS: one is waited for");
                    conditions.push(json!({"attached": target}));
                }
            },
        }
        if is_wanted {
            self.properties(step, &located, &mut conditions);
        } else if ["properties", "attributes"].iter().any(|key| {
            step.get(*key)
                .is_some_and(|wanted| wanted.is_object() && wanted != &json!({}))
        }) {
            self.warn("what the element's properties and attributes must not be is not waited for");
        }
        let before = conditions.len();
        conditions.retain(|condition| {
            !condition["script"]
                .as_str()
                .is_some_and(|script| script.contains("{{"))
        });
        if conditions.len() < before {
            self.warn("a condition that has `{{` in it is left out");
        }
        match conditions.len() {
            0 => self.warn("nothing is left to wait for"),
            1 => self.push(step, json!({"waitFor": conditions[0]})),
            _ => self.push(step, json!({"waitFor": {"all": conditions}})),
        }
    }

    /// What each element's properties and attributes must be, as scripts.
    fn properties(
        &mut self,
        step: &Map<String, Value>,
        located: &Located,
        conditions: &mut Vec<Value>,
    ) {
        for (key, fits) in [
            ("properties", "fits(wanted, element)"),
            (
                "attributes",
                "Object.entries(wanted).every(([name, value]) => element.getAttribute(name) === value)",
            ),
        ] {
            let Some(Value::Object(wanted)) = step.get(key).filter(|wanted| wanted != &&json!({}))
            else {
                continue;
            };
            match located.css().filter(|_| frame_of(step).is_none()) {
                Some(css) => conditions.push(json!({
                    "script": format!(
                        "((wanted) => {{ const fits = (a, b) => a === b || a instanceof Object && b instanceof Object && Object.entries(a).every(([name, value]) => fits(value, b[name])); return [...document.querySelectorAll({})].every((element) => {fits}) }})({})",
                        json!(css), json!(wanted)
                    ),
                })),
                None => self.warn(&format!("the element's {key} can only be waited for by CSS")),
            }
        }
    }

    fn wait_for_expression(&mut self, step: &Map<String, Value>) {
        let script = text(step, "expression").to_owned();
        if frame_of(step).is_some() {
            return self.warn("an expression can't be waited for in a frame");
        }
        if script.trim().is_empty() || script.contains("{{") {
            return self
                .warn("an expression that is empty, or has `{{` in it, can't be translated");
        }
        self.push(step, json!({"waitFor": {"script": script}}));
    }

    fn close(&mut self, step: &Map<String, Value>) {
        let target = step.get("target").and_then(Value::as_str).unwrap_or("main");
        if target == "main" {
            return self.warn("the first tab closes by itself at the end");
        }
        self.change_tab(step);
        self.push(step, json!({"tab": "close"}));
        self.target = "main".to_owned();
    }

    /// What the recording says of the page to which a step leads.
    fn assert_events(&mut self, kind: &str, step: &Map<String, Value>) {
        let Some(Value::Array(events)) = step.get("assertedEvents") else {
            return;
        };
        for event in events {
            let (url, title) = (event["url"].as_str(), event["title"].as_str());
            if event["type"] != "navigation" {
                self.warn("an asserted event of an unknown kind is left out");
                continue;
            }
            let url = url.filter(|url| !url.is_empty());
            let title = title.filter(|title| !title.is_empty());
            let before = self.main_url.clone();
            if let Some(url) = url {
                self.note_origin(url);
                if self.target == "main" {
                    self.main_url = Some(url.to_owned());
                }
            }
            let is_said = kind == "navigate" && url == step.get("url").and_then(Value::as_str);
            if let Some(url) = url.filter(|_| !is_said) {
                let pattern = pattern_of(url, before.as_deref());
                self.push(step, json!({"waitFor": {"url": pattern}}));
            }
            if kind != "navigate" {
                self.states.begin(title, url);
            }
        }
    }
}

/// The pattern of a URL to which a step led. What is after the path mostly belongs to one session, so it counts only
/// where the path is that of the page before; the same goes for parts of the path that look like keys.
fn pattern_of(url: &str, before: Option<&str>) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let is_same_place = before
        .and_then(|before| before.split(['?', '#']).next())
        .is_some_and(|before| before == place);
    let parts: Vec<&str> = place
        .split('/')
        .enumerate()
        .map(|(index, part)| {
            if index > 2 && is_key_of_one(part) {
                "*"
            } else {
                part
            }
        })
        .collect();
    let mut pattern = literal(&parts.join("/"));
    if is_same_place && !query.is_empty() {
        pattern.push('?');
        pattern.push_str(&literal(query));
    }
    if !pattern.ends_with('*') {
        pattern.push('*');
    }
    pattern
}

/// Whether a part of a path looks like the key of one thing: a long number, or hexadecimal digits.
fn is_key_of_one(part: &str) -> bool {
    let digits = part.chars().filter(char::is_ascii_digit).count();
    let is_number = digits >= 5 && digits == part.len();
    let is_hexadecimal =
        part.len() >= 8 && digits > 0 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_number || is_hexadecimal
}

fn text<'s>(step: &'s Map<String, Value>, key: &str) -> &'s str {
    step.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number of pixels, which recordings also write with a fraction.
fn number(step: &Map<String, Value>, key: &str) -> u64 {
    let Some(number) = step.get(key).and_then(Value::as_f64) else {
        return 0;
    };
    format!("{:.0}", number.clamp(0.0, 1e9))
        .parse()
        .unwrap_or(0)
}

fn asserted<'s>(step: &'s Map<String, Value>, key: &str) -> Option<&'s str> {
    let events = step.get("assertedEvents")?.as_array()?;
    let text = events.first()?.get(key)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// The locator's keys in a verb's map; alternatives under `anyOf`.
fn in_map(located: &Located) -> Value {
    match located.single() {
        Some(only) => only.clone(),
        None => json!({"anyOf": located.alternatives}),
    }
}

/// All that the selectors say, in small letters.
fn said_by_selectors(step: &Map<String, Value>) -> String {
    let selectors = step.get("selectors").map(Value::to_string);
    selectors.unwrap_or_default().to_lowercase()
}

fn is_secret_field(step: &Map<String, Value>) -> bool {
    let said = said_by_selectors(step);
    if SECRET_PARTS.iter().any(|part| said.contains(part)) {
        return true;
    }
    let words = words_of_selectors(step);
    let has = |known: &[&str]| {
        words.iter().any(|word| {
            // `#pwd2` is the second of its kind.
            let first = word.trim_end_matches(|c: char| c.is_ascii_digit());
            known.contains(&word.as_str()) || known.contains(&first)
        })
    };
    has(SECRET_WORDS) || has(&["code"]) && !has(OF_OPEN_CODES)
}

/// The words in the selectors, in small letters: `#zipCode` has two of them.
fn words_of_selectors(step: &Map<String, Value>) -> Vec<String> {
    let text = step.get("selectors").map(Value::to_string);
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in text.unwrap_or_default().chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && was_small {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What the secret is called that is entered into this field.
fn secret_name(step: &Map<String, Value>) -> &'static str {
    let said = said_by_selectors(step);
    if [
        "passw",
        "pwd",
        "kennwort",
        "contraseñ",
        "mot de passe",
        "motdepasse",
        "senha",
    ]
    .iter()
    .any(|word| said.contains(word))
    {
        "password"
    } else {
        "secret"
    }
}

/// Whether the field is a list to choose from, as far as its selectors say so.
fn is_list_field(step: &Map<String, Value>) -> bool {
    let Some(Value::Array(selectors)) = step.get("selectors") else {
        return false;
    };
    selectors.iter().any(|selector| {
        let last = match selector {
            Value::Array(parts) => parts.last().and_then(Value::as_str),
            other => other.as_str(),
        };
        let last = last.unwrap_or_default();
        let last = last.strip_prefix("pierce/").unwrap_or(last);
        let element = last.rsplit([' ', '>', '/']).next().unwrap_or_default();
        let name = element
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        name == "select" || element == "#select"
    })
}

fn shorten(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    text
}
