//! The verbs as tables: what each takes.

use super::grammar::{CODE, LOCATOR, OPTIONAL_LOCATOR, VARIABLE_NAME, WHEN};
use super::shape::{Choice, Form, Key, Shape, from_to, may, must};

/// The verbs, in the order of the reference.
pub(super) static VERBS: [Key; 32] = [
    may(
        "goto",
        Form::Any(&[Form::Template, Form::Of(&GOTO)]),
        "Opens an absolute URL and waits until it has loaded.",
    ),
    may("back", Form::Nothing, "Goes back in the page's history."),
    may("reload", Form::Nothing, "Loads the page again."),
    may(
        "click",
        Form::Any(&[Form::Locator, Form::Of(&CLICK)]),
        "Clicks an element as soon as it is visible, stable, enabled and not covered.",
    ),
    may("doubleClick", Form::Locator, "Clicks an element twice."),
    may("hover", Form::Locator, "Moves the pointer over an element."),
    may("drag", Form::Of(&DRAG), "Drags an element to another."),
    may(
        "fill",
        Form::Of(&FILL),
        "Replaces the text of a field. May take a secret.",
    ),
    may(
        "press",
        Form::Any(&[Form::Template, Form::Of(&PRESS)]),
        "Presses a key, such as `Enter` or `Control+A`.",
    ),
    may(
        "type",
        Form::Of(&TYPE),
        "Types a text key by key. May take a secret.",
    ),
    may("select", Form::Of(&SELECT), "Chooses options of a list."),
    may("check", Form::Locator, "Makes sure that a box is checked."),
    may(
        "uncheck",
        Form::Locator,
        "Makes sure that a box is not checked.",
    ),
    may(
        "upload",
        Form::Of(&UPLOAD),
        "Gives files to a field that takes them.",
    ),
    may(
        "scroll",
        Form::Any(&[Form::Words(&["top", "bottom"]), Form::Of(&SCROLL)]),
        "Scrolls the page or an element, or brings an element into view.",
    ),
    may(
        "waitFor",
        Form::Any(&[Form::Condition, Form::Of(&PAUSE), Form::Of(&AWAIT_RESPONSE)]),
        "Waits for a condition, for a response, or for a time.",
    ),
    may(
        "extract",
        Form::Of(&EXTRACT),
        "Reads records from the page, and from those that follow it.",
    ),
    may("get", Form::Of(&GET), "Reads one value into a variable."),
    may("set", Form::Map(&Form::Data, 1), "Gives variables values."),
    may(
        "evaluate",
        Form::Any(&[Form::Text, Form::Of(&EVALUATE)]),
        "Evaluates JavaScript in the page.",
    ),
    may(
        "askUser",
        Form::Of(&ASK_USER),
        "Asks a person, and waits for the answer.",
    ),
    may(
        "download",
        Form::Of(&DOWNLOAD),
        "Keeps a file that a click or a URL downloads.",
    ),
    may(
        "screenshot",
        Form::Any(&[Form::Nothing, Form::Of(&SCREENSHOT)]),
        "Keeps a picture of the window, the page or an element.",
    ),
    may(
        "pdf",
        Form::Any(&[Form::Nothing, Form::Of(&PDF)]),
        "Keeps the page as a PDF.",
    ),
    may(
        "dialog",
        Form::Any(&[Form::Words(&["accept", "dismiss"]), Form::Of(&DIALOG)]),
        "Says how the page's dialogs are answered from here on; they are dismissed otherwise.",
    ),
    may("frame", Form::Of(&FRAME), "Does steps inside of an iframe."),
    may(
        "tab",
        Form::Any(&[Form::Words(&["close"]), Form::Of(&TAB)]),
        "Goes on in another tab.",
    ),
    may(
        "if",
        Form::Of(&IF),
        "Does one list of steps if a condition holds, and another if not.",
    ),
    may(
        "forEach",
        Form::Of(&FOR_EACH),
        "Does steps once for each item of a list, or for each element.",
    ),
    may(
        "assert",
        Form::Of(&ASSERT),
        "Fails the run unless a condition holds.",
    ),
    may(
        "fail",
        Form::Of(&FAIL),
        "Ends the run as failed, with a code of your own.",
    ),
    may(
        "endWithNoAction",
        Form::Of(&END),
        "Ends the run as completed with no action taken.",
    ),
];

pub(super) static GOTO: Shape = shape(
    "goto",
    "`goto`",
    "Opens a URL.",
    &[must("url", Form::Template, "The absolute URL.")],
);

pub(super) static CLICK: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "click",
        "`click`",
        "Clicks an element.",
        &[
            may(
                "button",
                Form::Words(&["left", "middle", "right"]),
                "The button of the mouse, `left` by default.",
            ),
            may(
                "modifiers",
                Form::List(&Form::Words(&["Alt", "Control", "Meta", "Shift"]), 0),
                "Keys that are held down meanwhile.",
            ),
        ],
    )
};

pub(super) static DRAG: Shape = shape(
    "drag",
    "`drag`",
    "Drags an element to another.",
    &[
        must("source", Form::Locator, "What is dragged."),
        must("target", Form::Locator, "Where it is dropped."),
    ],
);

pub(super) static FILL: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "fill",
        "`fill`",
        "Replaces the text of a field.",
        &[must(
            "value",
            Form::Template,
            "The new text. May hold secrets.",
        )],
    )
};

pub(super) static PRESS: Shape = Shape {
    includes: &[&OPTIONAL_LOCATOR],
    ..shape(
        "press",
        "`press`",
        "Presses a key, in an element that gets the focus first if one is named.",
        &[
            must(
                "key",
                Form::Template,
                "The key, with its modifiers: `Control+A`.",
            ),
            may(
                "times",
                Form::TypedCount(from_to(1, 1_000)),
                "How often, 1 by default.",
            ),
        ],
    )
};

pub(super) static TYPE: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "type",
        "`type`",
        "Types a text key by key.",
        &[
            must("value", Form::Template, "The text. May hold secrets."),
            may("delay", Form::TypedDuration, "The time between two keys."),
        ],
    )
};

pub(super) static SELECT: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "select",
        "`select`",
        "Chooses options of a list.",
        &[must(
            "option",
            Form::Any(&[Form::Template, Form::List(&Form::Template, 1)]),
            "The label or the value of an option, or several of them.",
        )],
    )
};

pub(super) static UPLOAD: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "upload",
        "`upload`",
        "Gives files to a field.",
        &[must("files", Form::List(&Form::Of(&FILE), 1), "The files.")],
    )
};

pub(super) static FILE: Shape = Shape {
    choices: &[
        Choice::One(&["artifact", "content", "base64"]),
        Choice::Needs("content", "fileName"),
        Choice::Needs("base64", "fileName"),
    ],
    ..shape(
        "file",
        "a file",
        "A file that is uploaded: exactly one of artifact, content, base64.",
        &[
            may(
                "artifact",
                Form::Template,
                "The name of an artifact that the run has made.",
            ),
            may("content", Form::Template, "The text in it."),
            may("base64", Form::Template, "The bytes in it, in Base64."),
            may(
                "fileName",
                Form::Template,
                "Its name; for `content` and `base64`.",
            ),
        ],
    )
};

pub(super) static SCROLL: Shape = Shape {
    includes: &[&OPTIONAL_LOCATOR],
    choices: &[Choice::AtMostOne(&["to", "by"])],
    ..shape(
        "scroll",
        "`scroll`",
        "Scrolls the page, or the element that is named; without `to` and `by`, the element is brought into view.",
        &[
            may(
                "to",
                Form::Words(&["top", "bottom"]),
                "To its beginning or its end.",
            ),
            may("by", Form::Of(&DISTANCE), "By so many CSS pixels."),
        ],
    )
};

pub(super) static DISTANCE: Shape = Shape {
    choices: &[Choice::Some(&["x", "y"])],
    ..shape(
        "distance",
        "`by`",
        "A distance in CSS pixels.",
        &[
            may(
                "x",
                Form::TypedCount(from_to(-1_000_000, 1_000_000)),
                "To the right.",
            ),
            may(
                "y",
                Form::TypedCount(from_to(-1_000_000, 1_000_000)),
                "Down.",
            ),
        ],
    )
};

pub(super) static PAUSE: Shape = shape(
    "pause",
    "`waitFor`",
    "Waits for a time.",
    &[must("time", Form::TypedDuration, "How long.")],
);

pub(super) static AWAIT_RESPONSE: Shape = shape(
    "awaitResponse",
    "`waitFor`",
    "Waits for the next response that fits.",
    &[
        must(
            "response",
            Form::Any(&[Form::Template, Form::Of(&RESPONSE)]),
            "Which response: the pattern of its URL, in which `*` stands for anything, or a map.",
        ),
        may(
            "during",
            Form::Steps,
            "Steps that cause it: the step waits for a response that came since they began.",
        ),
        may(
            "as",
            Form::Name(VARIABLE_NAME),
            "The variable that gets `{url, status, body}`; a body that is JSON is read.",
        ),
    ],
);

pub(super) static RESPONSE: Shape = shape(
    "response",
    "`response`",
    "Which response is meant.",
    &[
        must(
            "url",
            Form::Template,
            "The pattern of its URL; `*` stands for anything.",
        ),
        may(
            "method",
            Form::Words(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
            "The method of the request.",
        ),
        may(
            "status",
            Form::TypedCount(from_to(100, 599)),
            "Its HTTP status.",
        ),
    ],
);

pub(super) static EXTRACT: Shape = Shape {
    choices: &[Choice::AtMostOne(&[
        "nextPage",
        "pageNumber",
        "scroll",
        "loadMore",
    ])],
    ..shape(
        "extract",
        "`extract`",
        "Reads records: one for each element that `rows` matches.",
        &[
            may(
                "ready",
                Form::Condition,
                "What must hold before the rows are read. Without it, the step waits for the first row.",
            ),
            must("rows", Form::Locator, "One element for each record."),
            must(
                "fields",
                Form::Map(&Form::Any(&[Form::Locator, Form::Of(&FIELD)]), 1),
                "The fields of a record, looked up inside of its row.",
            ),
            may(
                "nextPage",
                Form::Locator,
                "What is clicked for the next page; the last page has none, or a disabled one.",
            ),
            may(
                "pageNumber",
                Form::Of(&PAGE_NUMBER),
                "Pages are reached by their number, which is the variable `page`.",
            ),
            may(
                "scroll",
                Form::Any(&[Form::Flag, Form::Locator]),
                "More rows come by scrolling the page (`true`) or an element to its end.",
            ),
            may(
                "loadMore",
                Form::Locator,
                "What is clicked for more rows, until it is gone or disabled.",
            ),
            may(
                "maxPages",
                Form::TypedCount(from_to(1, 10_000)),
                "How many pages there may be, 100 by default; more are an error.",
            ),
            may(
                "limit",
                Form::TypedCount(from_to(1, 1_000_000)),
                "How many records are read at most; what comes after is left.",
            ),
            may(
                "uniqueBy",
                Form::Any(&[Form::Text, Form::List(&Form::Text, 1)]),
                "Of records that agree in this field, or in all of these, the first is kept.",
            ),
            may(
                "fileName",
                Form::Template,
                "The name of the artifacts, without its ending.",
            ),
            must(
                "as",
                Form::Name(VARIABLE_NAME),
                "The variable that gets the records, and the name of the artifacts.",
            ),
        ],
    )
};

pub(super) static PAGE_NUMBER: Shape = Shape {
    choices: &[Choice::One(&["click", "goto"])],
    ..shape(
        "pageNumber",
        "`pageNumber`",
        "How a page is reached by its number: exactly one of click, goto.",
        &[
            may(
                "click",
                Form::Locator,
                "The element that leads to page `{{ page }}`; the last page is the one after which there is none.",
            ),
            may(
                "goto",
                Form::Template,
                "The URL of page `{{ page }}`; the last page is the one after which one has no rows.",
            ),
            may(
                "from",
                Form::TypedCount(from_to(0, 1_000_000)),
                "The first number that is reached so, 2 by default.",
            ),
        ],
    )
};

/// The types of fields.
pub(super) const FIELD_TYPES: &[&str] = &[
    "string", "number", "date", "boolean", "link", "html", "value", "checked", "list",
];

/// How a value is read.
const READ_KEYS: &[Key] = &[
    may(
        "type",
        Form::Words(FIELD_TYPES),
        "What the value becomes, `string` by default.",
    ),
    may(
        "attribute",
        Form::Text,
        "The attribute that is read instead of the text.",
    ),
    may(
        "locale",
        Form::Text,
        "How numbers are written, such as `de-DE`.",
    ),
    may(
        "format",
        Form::Text,
        "How dates are written, such as `%d.%m.%Y`.",
    ),
    may(
        "of",
        Form::Words(&["string", "number", "date", "boolean", "link", "html"]),
        "What the items of a list become, `string` by default.",
    ),
    may("required", Form::Flag, "Whether it must have a value."),
    may("default", Form::Anything, "What it is if it has no value."),
];

pub(super) static FIELD: Shape = Shape {
    includes: &[&OPTIONAL_LOCATOR],
    choices: &[Choice::AtMostOne(&["required", "default"])],
    ..shape(
        "field",
        "a field",
        "How one value of a record is read.",
        READ_KEYS,
    )
};

static READ: Shape = Shape {
    choices: &[Choice::AtMostOne(&["required", "default"])],
    ..shape("read", "`get`", "How a value is read.", READ_KEYS)
};

pub(super) static GET: Shape = Shape {
    includes: &[&READ, &LOCATOR],
    ..shape(
        "get",
        "`get`",
        "Reads one value into a variable.",
        &[must("as", Form::Name(VARIABLE_NAME), "The variable.")],
    )
};

pub(super) static EVALUATE: Shape = shape(
    "evaluate",
    "`evaluate`",
    "Evaluates JavaScript in the page.",
    &[
        must(
            "script",
            Form::Text,
            "An expression; `args` holds the arguments. A promise is awaited.",
        ),
        may(
            "args",
            Form::Map(&Form::Data, 0),
            "What the script gets: names with their templates.",
        ),
        may(
            "as",
            Form::Name(VARIABLE_NAME),
            "The variable that gets the value.",
        ),
    ],
);

pub(super) static ASK_USER: Shape = Shape {
    choices: &[
        Choice::One(&["as", "fields"]),
        Choice::Needs("rejected", "steps"),
    ],
    ..shape(
        "askUser",
        "`askUser`",
        "Asks a person, and waits for the answer: `as` for one answer, `fields` for several.",
        &[
            must("prompt", Form::Template, "What is asked."),
            may(
                "as",
                Form::Name(VARIABLE_NAME),
                "The answer becomes `answers.NAME`.",
            ),
            may(
                "type",
                Form::Words(&["code", "password", "text", "choice", "confirmation"]),
                "How it is entered, `code` by default.",
            ),
            may(
                "options",
                Form::List(&Form::Text, 2),
                "Among what the person chooses, for a `choice`.",
            ),
            may(
                "fields",
                Form::List(&Form::Of(&QUESTION_FIELD), 1),
                "What is to be answered.",
            ),
            may(
                "timeout",
                Form::TypedDuration,
                "How long the person has for each try, `10m` by default.",
            ),
            may(
                "tries",
                Form::Count(from_to(1, 10)),
                "How often the person may answer, 1 by default.",
            ),
            may("steps", Form::Steps, "What is done with each answer."),
            may(
                "rejected",
                Form::Of(&REJECTED),
                "How the site shows, after the steps, that it refused the answer.",
            ),
        ],
    )
};

pub(super) static QUESTION_FIELD: Shape = shape(
    "questionField",
    "a field",
    "One thing to be answered.",
    &[
        must(
            "name",
            Form::Name(VARIABLE_NAME),
            "The answer becomes `answers.NAME`.",
        ),
        may(
            "type",
            Form::Words(&["code", "password", "text", "choice", "confirmation"]),
            "How it is entered, `text` by default.",
        ),
        may("label", Form::Text, "What the person is shown beside it."),
        may(
            "options",
            Form::List(&Form::Text, 2),
            "Among what the person chooses, for a `choice`.",
        ),
    ],
);

pub(super) static REJECTED: Shape = Shape {
    includes: &[&WHEN],
    ..shape(
        "rejected",
        "`rejected`",
        "How the site shows that it refused an answer.",
        &[may(
            "message",
            Form::Template,
            "What the person is told at the next try.",
        )],
    )
};

pub(super) static DOWNLOAD: Shape = Shape {
    choices: &[Choice::One(&["click", "url"])],
    ..shape(
        "download",
        "`download`",
        "Keeps a file: exactly one of click, url.",
        &[
            may(
                "click",
                Form::Locator,
                "The element whose click downloads it.",
            ),
            may("url", Form::Template, "The URL that downloads it."),
            may(
                "fileName",
                Form::Template,
                "The artifact's name; by default the site's.",
            ),
            may(
                "as",
                Form::Name(VARIABLE_NAME),
                "The variable that gets `{name, sizeBytes}`.",
            ),
        ],
    )
};

pub(super) static SCREENSHOT: Shape = Shape {
    includes: &[&OPTIONAL_LOCATOR],
    ..shape(
        "screenshot",
        "`screenshot`",
        "Keeps a picture of the window, or of the element that is named.",
        &[
            may("fileName", Form::Template, "The artifact's name."),
            may(
                "fullPage",
                Form::TypedFlag,
                "Whether the whole page is shown, rather than the window.",
            ),
            may(
                "mask",
                Form::List(&Form::Locator, 0),
                "Elements that are covered.",
            ),
        ],
    )
};

pub(super) static PDF: Shape = shape(
    "pdf",
    "`pdf`",
    "Keeps the page as a PDF.",
    &[may(
        "fileName",
        Form::Template,
        "The artifact's name, `page.pdf` by default.",
    )],
);

pub(super) static DIALOG: Shape = shape(
    "dialog",
    "`dialog`",
    "Answers dialogs that ask for a text.",
    &[must("accept", Form::Template, "The text.")],
);

pub(super) static FRAME: Shape = Shape {
    includes: &[&LOCATOR],
    ..shape(
        "frame",
        "`frame`",
        "Does steps inside of an iframe.",
        &[must("steps", Form::Steps, "The steps.")],
    )
};

pub(super) static TAB: Shape = Shape {
    choices: &[Choice::One(&["open", "switch"])],
    ..shape(
        "tab",
        "`tab`",
        "Goes on in another tab: exactly one of open, switch.",
        &[
            may("open", Form::Locator, "The element whose click opens it."),
            may(
                "switch",
                Form::Template,
                "The pattern of its URL; `*` stands for anything.",
            ),
        ],
    )
};

pub(super) static IF: Shape = Shape {
    includes: &[&WHEN],
    ..shape(
        "if",
        "`if`",
        "Does `then` if the condition holds, `else` if not.",
        &[
            must("then", Form::Steps, "What is done if it holds."),
            may("else", Form::Steps, "What is done if not."),
        ],
    )
};

pub(super) static FOR_EACH: Shape = Shape {
    choices: &[Choice::One(&["in", "elements"])],
    ..shape(
        "forEach",
        "`forEach`",
        "Does steps once for each item: exactly one of in, elements.",
        &[
            may(
                "in",
                Form::Data,
                "An expression that gives a list, as `{{ employees }}`, or the list itself.",
            ),
            may(
                "elements",
                Form::Locator,
                "The elements of the page that match when the loop begins.",
            ),
            must(
                "as",
                Form::Name(VARIABLE_NAME),
                "The variable that holds the item; for elements `{index, text}`, and `element: NAME` locates it.",
            ),
            may(
                "index",
                Form::Name(VARIABLE_NAME),
                "The variable that holds the item's number, counted from 0.",
            ),
            may(
                "maxItems",
                Form::Count(from_to(1, 10_000)),
                "How many items there may be, 1000 by default; more are an error.",
            ),
            must("steps", Form::Steps, "What is done with each."),
        ],
    )
};

pub(super) static ASSERT: Shape = Shape {
    includes: &[&WHEN],
    ..shape(
        "assert",
        "`assert`",
        "Fails the run with `ASSERTION_FAILED` unless the condition holds.",
        &[may("message", Form::Template, "What the failure says.")],
    )
};

pub(super) static FAIL: Shape = shape(
    "fail",
    "`fail`",
    "Ends the run as failed, with `WORKFLOW_FAILED`.",
    &[
        must(
            "code",
            Form::Name(CODE),
            "Your own code for it, such as `ACCOUNT_LOCKED`.",
        ),
        must("message", Form::Template, "What the failure says."),
        may("if", Form::Expression, "Only if this is true."),
    ],
);

pub(super) static END: Shape = shape(
    "endWithNoAction",
    "`endWithNoAction`",
    "Ends the run as completed with no action taken.",
    &[
        must("reason", Form::Template, "Why there was nothing to do."),
        may("if", Form::Expression, "Only if this is true."),
    ],
);

const fn shape(
    name: &'static str,
    what: &'static str,
    about: &'static str,
    keys: &'static [Key],
) -> Shape {
    Shape {
        name,
        what,
        about,
        keys,
        includes: &[],
        choices: &[],
    }
}
