//! The grammar of a definition as tables: what stands at the top, in a state, around a step, and how elements and
//! conditions are named. The verbs have tables of their own.

use super::grammar_steps::VERBS;
use super::shape::{Choice, Form, Key, Shape, from_to, may, must};

/// How often a run is executed at most.
const MOST_ATTEMPTS: i64 = 10;

/// The name of a state.
pub(super) const STATE_NAME: &str = "^[a-z][a-z0-9_]{0,63}$";
/// The name of a variable.
pub(super) const VARIABLE_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";
/// The code of a `fail`.
pub(super) const CODE: &str = "^[A-Z0-9_]{1,64}$";

/// The whole definition.
pub(super) static DEFINITION: Shape = Shape {
    name: "definition",
    what: "a definition",
    about: "A browser workflow of Legwork.",
    keys: &[
        must(
            "name",
            Form::Text,
            "What people call the workflow; 1 to 200 characters.",
        ),
        may("description", Form::Text, "What the workflow is for."),
        may("input", Form::Anything, "The JSON Schema of a run's input."),
        may(
            "allowedOrigins",
            Form::List(&Form::Template, 0),
            "Where `goto` may go, and into whose pages a secret may be filled. A URL stands for its origin. Without it: anywhere.",
        ),
        may(
            "browser",
            Form::Of(&BROWSER),
            "How the browser presents itself.",
        ),
        may(
            "deadline",
            Form::Duration,
            "How long a run may work, `15m` by default. Waiting for a person does not count.",
        ),
        may(
            "retry",
            Form::Of(&RUN_RETRY),
            "Whether a run is executed again after its worker or its browser was lost.",
        ),
        may(
            "har",
            Form::Words(&["never", "onFailure", "always"]),
            "Whether the network's traffic is kept as an artifact, without bodies: `never` by default.",
        ),
        must(
            "states",
            Form::List(&Form::Of(&STATE), 1),
            "The states, in the order in which they are executed.",
        ),
        may(
            "output",
            Form::Map(&Form::Data, 0),
            "What the run's `output` holds: names with their templates, 64 KB at most.",
        ),
    ],
    includes: &[],
    choices: &[],
};

/// How the browser presents itself.
pub(super) static BROWSER: Shape = Shape {
    name: "browser",
    what: "`browser`",
    about: "How the browser presents itself.",
    keys: &[
        may(
            "viewport",
            Form::Of(&VIEWPORT),
            "The size of the window in CSS pixels.",
        ),
        may(
            "locale",
            Form::Text,
            "A BCP 47 language tag, such as `de-DE`.",
        ),
        may(
            "timeZone",
            Form::Text,
            "An IANA time zone, such as `Europe/Berlin`.",
        ),
        may("userAgent", Form::Text, "The `User-Agent` header."),
        may(
            "headers",
            Form::Map(&Form::Text, 0),
            "Headers that are sent with every request.",
        ),
        may(
            "proxy",
            Form::Of(&PROXY),
            "The proxy through which all of the browser's connections go.",
        ),
    ],
    includes: &[],
    choices: &[],
};

/// The proxy behind which the browser is.
pub(super) static PROXY: Shape = Shape {
    name: "proxy",
    what: "`proxy`",
    about: "The proxy through which all of the browser's connections go.",
    keys: &[
        must(
            "url",
            Form::Template,
            "`http://HOST:PORT` or `socks5://HOST:PORT`, without credentials.",
        ),
        may(
            "username",
            Form::Template,
            "The user name, which may be a secret.",
        ),
        may(
            "password",
            Form::Template,
            "The password, which may be a secret.",
        ),
    ],
    includes: &[],
    choices: &[Choice::Needs("password", "username")],
};

/// The window's size.
pub(super) static VIEWPORT: Shape = Shape {
    name: "viewport",
    what: "`viewport`",
    about: "The size of the window in CSS pixels.",
    keys: &[
        must("width", Form::Count(from_to(100, 10_000)), "Its width."),
        must("height", Form::Count(from_to(100, 10_000)), "Its height."),
    ],
    includes: &[],
    choices: &[],
};

/// How often a run is executed.
pub(super) static RUN_RETRY: Shape = Shape {
    name: "runRetry",
    what: "`retry`",
    about: "Whether a run is executed again after its worker or its browser was lost, and after how long.",
    keys: &[
        must(
            "maxAttempts",
            Form::Count(from_to(1, MOST_ATTEMPTS)),
            "How often a run is executed at most; 1 means never again.",
        ),
        may(
            "delay",
            Form::Duration,
            "How long to wait before the second execution, `10s` by default and `15m` at most.",
        ),
        may(
            "backoff",
            Form::Words(&["exponential", "fixed"]),
            "Whether each wait is twice as long as the one before (`exponential`, the default).",
        ),
        may(
            "maxDelay",
            Form::Duration,
            "The longest wait, `5m` by default and `15m` at most.",
        ),
    ],
    includes: &[],
    choices: &[],
};

/// A state.
pub(super) static STATE: Shape = Shape {
    name: "state",
    what: "a state",
    about: "A named part of the workflow.",
    keys: &[
        must(
            "name",
            Form::Name(STATE_NAME),
            "Its name, which clients see as `currentStateName`: `signing_in`.",
        ),
        may(
            "when",
            Form::When,
            "The condition without which it is skipped.",
        ),
        may(
            "timeout",
            Form::TypedDuration,
            "How long it may take. Waiting for a person does not count.",
        ),
        may(
            "finally",
            Form::Flag,
            "Whether it is executed whatever happened before, such as to sign out. Such states stand last.",
        ),
        must("steps", Form::Steps, "Its steps, in order."),
    ],
    includes: &[],
    choices: &[],
};

/// What stands beside a verb.
pub(super) static BESIDE: [Key; 5] = [
    may("id", Form::Text, "A name that messages and the log show."),
    may(
        "when",
        Form::When,
        "The condition without which the step is skipped.",
    ),
    may(
        "timeout",
        Form::TypedDuration,
        "How long the step may take, `30s` by default.",
    ),
    may(
        "retry",
        Form::Any(&[Form::Of(&RETRY), Form::Of(&RETRY_GROUP)]),
        "Beside a verb: how often it is done when it fails. Alone, with `steps`: a group of steps that is done again when one of them fails.",
    ),
    may(
        "onError",
        Form::Any(&[Form::Words(&["continue"]), Form::Of(&ON_ERROR)]),
        "`continue`: the run goes on when the step fails, and the variable `error` keeps why.",
    ),
];

/// A step: one verb, and what stands beside it.
pub(super) static STEP: Shape = Shape {
    name: "step",
    what: "a step",
    about: "One step: exactly one verb, and beside it `id`, `when`, `timeout`, `retry`, `onError`.",
    keys: &BESIDE,
    includes: &[&VERB],
    choices: &[],
};

/// The verbs as keys.
static VERB: Shape = Shape {
    name: "verb",
    what: "a step",
    about: "A verb.",
    keys: &VERBS,
    includes: &[],
    choices: &[],
};

/// How often a step is done.
pub(super) static RETRY: Shape = Shape {
    name: "retry",
    what: "`retry`",
    about: "How often something is done again when it failed, and after how long.",
    keys: &[
        must(
            "maxAttempts",
            Form::Count(from_to(2, 20)),
            "How often it is done at most, the first time included.",
        ),
        may(
            "delay",
            Form::Duration,
            "How long to wait before the second attempt, `1s` by default.",
        ),
        may(
            "backoff",
            Form::Words(&["exponential", "fixed"]),
            "Whether each wait is twice as long as the one before (`exponential`, the default).",
        ),
        may(
            "maxDelay",
            Form::Duration,
            "The longest wait, `30s` by default.",
        ),
    ],
    includes: &[],
    choices: &[],
};

/// Steps that are done again.
pub(super) static RETRY_GROUP: Shape = Shape {
    name: "retryGroup",
    what: "`retry`",
    about: "Steps that are done again, all of them, when one of them failed.",
    keys: &[must("steps", Form::Steps, "The steps.")],
    includes: &[&RETRY],
    choices: &[],
};

/// Where an error is kept.
pub(super) static ON_ERROR: Shape = Shape {
    name: "onError",
    what: "`onError`",
    about: "The run goes on when the step fails.",
    keys: &[must(
        "as",
        Form::Name(VARIABLE_NAME),
        "The variable that keeps why: `{code, message, step}`, or nothing if the step went well.",
    )],
    includes: &[],
    choices: &[],
};

/// By what elements are found.
pub(super) const BY: &[&str] = &[
    "role",
    "label",
    "placeholder",
    "text",
    "testId",
    "css",
    "xpath",
    "element",
    "anyOf",
];

/// A locator's keys, of which exactly one of [`BY`] is there.
pub(super) static LOCATOR: Shape = Shape {
    name: "locatorMap",
    what: "a locator",
    about: "Names elements of the page: exactly one of role, label, placeholder, text, testId, css, xpath, element, anyOf.",
    keys: LOCATOR_KEYS,
    includes: &[],
    choices: &[Choice::One(BY), Choice::Needs("name", "role")],
};

/// A locator's keys where a locator need not be.
pub(super) static OPTIONAL_LOCATOR: Shape = Shape {
    name: "optionalLocator",
    what: "a locator",
    about: "Names elements of the page, or nothing.",
    keys: LOCATOR_KEYS,
    includes: &[],
    choices: &[Choice::AtMostOne(BY), Choice::Needs("name", "role")],
};

const LOCATOR_KEYS: &[Key] = &[
    may(
        "role",
        Form::Role,
        "The ARIA role, such as `button`; with `name`, its accessible name.",
    ),
    may(
        "name",
        Form::Template,
        "The accessible name of the element with this role.",
    ),
    may("label", Form::Template, "The text of the field's label."),
    may("placeholder", Form::Template, "The field's placeholder."),
    may("text", Form::Template, "The element's text."),
    may("testId", Form::Template, "The element's `data-testid`."),
    may("css", Form::Template, "A CSS selector."),
    may("xpath", Form::Template, "An XPath 1.0 expression."),
    may(
        "element",
        Form::Name(VARIABLE_NAME),
        "The present element of the `forEach` around, by its `as`.",
    ),
    may(
        "anyOf",
        Form::List(&Form::Locator, 1),
        "The first of these locators that matches: alternatives where a list can't stand.",
    ),
    may(
        "exact",
        Form::TypedFlag,
        "Whether texts must be equal, rather than be contained without regard to case.",
    ),
    may(
        "nth",
        Form::TypedCount(from_to(0, 100_000)),
        "Which one of several, counted from 0.",
    ),
    may("within", Form::Locator, "The element in which it is."),
    may("frame", Form::Locator, "The iframe in which it is."),
];

/// The keys of which a condition has exactly one, unless it is a locator.
pub(super) const CONDITIONS: &[&str] = &[
    "visible",
    "hidden",
    "attached",
    "detached",
    "enabled",
    "disabled",
    "editable",
    "checked",
    "unchecked",
    "hasText",
    "url",
    "load",
    "script",
    "expression",
    "any",
    "all",
];

/// What a condition has exactly one of.
const CONDITION_OR_LOCATOR: &[&str] = &[
    "visible",
    "hidden",
    "attached",
    "detached",
    "enabled",
    "disabled",
    "editable",
    "checked",
    "unchecked",
    "hasText",
    "url",
    "load",
    "script",
    "expression",
    "any",
    "all",
    "role",
    "label",
    "placeholder",
    "text",
    "testId",
    "css",
    "xpath",
    "element",
    "anyOf",
];

/// A condition's keys.
pub(super) static CONDITION: Shape = Shape {
    name: "conditionMap",
    what: "a condition",
    about: "Something that is true of the page, or is not. A locator alone means that it is visible.",
    keys: &[
        may("visible", Form::Locator, "The element is visible."),
        may("hidden", Form::Locator, "No such element is visible."),
        may(
            "attached",
            Form::Locator,
            "The element is in the document, visible or not.",
        ),
        may(
            "detached",
            Form::Locator,
            "No such element is in the document.",
        ),
        may("enabled", Form::Locator, "The element is enabled."),
        may("disabled", Form::Locator, "The element is disabled."),
        may(
            "editable",
            Form::Locator,
            "The field is enabled, and not read-only.",
        ),
        may("checked", Form::Locator, "The box is checked."),
        may("unchecked", Form::Locator, "The box is not checked."),
        may(
            "load",
            Form::Words(&["domContentLoaded", "loaded", "networkIdle"]),
            "The page has come this far: it has been parsed, its pictures are there, or its network has been idle for half a second.",
        ),
        may(
            "hasText",
            Form::Template,
            "The page has this text, or the element that is named beside it.",
        ),
        may(
            "url",
            Form::Template,
            "The page's URL matches; `*` stands for anything.",
        ),
        may(
            "script",
            Form::Text,
            "A JavaScript expression that is truthy in the page.",
        ),
        may(
            "expression",
            Form::Expression,
            "An expression over the run's variables.",
        ),
        may(
            "any",
            Form::List(&Form::Condition, 1),
            "At least one of these holds.",
        ),
        may(
            "all",
            Form::List(&Form::Condition, 1),
            "Each of these holds.",
        ),
    ],
    includes: &[&OPTIONAL_LOCATOR],
    choices: &[
        Choice::AtMostOne(CONDITIONS),
        Choice::Some(CONDITION_OR_LOCATOR),
    ],
};

/// A condition with the time that it may take. Its `within` is that time, never a locator.
pub(super) static WHEN: Shape = Shape {
    name: "whenMap",
    what: "a condition",
    about: "A condition that is checked once, after a pending navigation, unless `within` gives it time.",
    keys: &[may(
        "within",
        Form::TypedDuration,
        "How long it may take to become true.",
    )],
    includes: &[&CONDITION],
    choices: &[],
};
