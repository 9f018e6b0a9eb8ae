//! What an `extract` and a `get` read: rows, fields, types, and the way through the pages.

use indexmap::IndexMap;
use serde_json::Value;

use super::locator::{Condition, Locator};
use super::template::Template;
use super::typed::Typed;

/// How records are read from a page, and from those that follow it.
#[derive(Debug, Clone)]
pub struct Extract {
    /// What must hold before the rows are read, also when there are none.
    pub ready: Option<Condition>,
    /// One element for each record.
    pub rows: Locator,
    /// The fields of a record, in their order.
    pub fields: IndexMap<String, FieldSpec>,
    /// How more rows come.
    pub paging: Paging,
    /// How many pages there may be.
    pub max_pages: Typed<i64>,
    /// How many records are read at most; what comes after is left.
    pub limit: Option<Typed<i64>>,
    /// Of records that agree in all of these fields, only the first is kept.
    pub unique_by: Vec<String>,
    /// The variable that gets the records; also the name of the artifacts.
    pub variable: String,
    /// The name of the artifacts, without its ending, if it is not the variable's.
    pub file_name: Option<Template>,
}

/// How the rows after the first ones are reached.
#[derive(Debug, Clone)]
pub enum Paging {
    /// There is one page.
    None,
    /// By clicking this; the last page has none, or a disabled one.
    Next(Locator),
    /// By number: `page` is the variable that counts.
    Number {
        /// How a page is reached.
        by: PageNumber,
        /// The number of the first page that is reached so.
        from: Typed<i64>,
    },
    /// By scrolling the page, or this element, to its end, until no more rows come.
    Scroll {
        /// The element that scrolls, if it is not the page.
        container: Option<Locator>,
    },
    /// By clicking this, which adds rows to those that are there, until it is gone or disabled.
    LoadMore(Locator),
}

/// How a page is reached by its number.
#[derive(Debug, Clone)]
pub enum PageNumber {
    /// By clicking this; the last page is the one after which there is none.
    Click(Locator),
    /// By going to this URL; the last page is the one after which one has no rows.
    Goto(Template),
}

/// How one value is read.
#[derive(Debug, Clone)]
pub struct FieldSpec {
    /// The element, in a row or on the page. Without it, the row itself.
    pub locator: Option<Locator>,
    /// What is read of the element.
    pub read: Read,
    /// What it becomes.
    pub kind: FieldKind,
    /// Whether it is a list: one value for each element that matches.
    pub is_list: bool,
    /// Whether it must have a value.
    pub required: bool,
    /// What it is if it has no value.
    pub default: Option<Value>,
}

/// What is read of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Its text, as a reader sees it.
    Text,
    /// Its HTML.
    Html,
    /// The value of an attribute.
    Attribute(String),
    /// The value of a form field.
    Value,
    /// Whether it is checked.
    Checked,
}

/// The type of an extracted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// A number, such as `$84,250.00`.
    Number(NumberStyle),
    /// A date, as `2026-05-31`, or a date with a time, as `2026-05-31T12:00:00`.
    Date {
        /// How it is written on the page, in the notation of strptime.
        format: String,
    },
    /// `true` or `false`, from words such as `yes` and `no`, or from whether a box is checked.
    Boolean,
    /// An absolute URL.
    Link,
}

/// What stands before the fraction of a number. Groups of three may be separated by spaces, apostrophes, or the other
/// of the two signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStyle {
    /// `1,234.5`: English, and what is assumed.
    Point,
    /// `1.234,5` and `1 234,5`: most of Europe.
    Comma,
}

impl NumberStyle {
    /// What a locale writes, by its language and region; `None` if this isn't known.
    #[must_use]
    pub fn of_locale(locale: &str) -> Option<Self> {
        let mut parts = locale.split(['-', '_']);
        let language = parts.next()?.to_ascii_lowercase();
        let region = parts.next().map(str::to_ascii_uppercase);
        Some(match (language.as_str(), region.as_deref()) {
            ("de" | "fr" | "it", Some("CH" | "LI")) => Self::Point,
            ("es", Some("DO" | "GT" | "HN" | "MX" | "NI" | "PA" | "PE" | "PR" | "SV" | "US")) => {
                Self::Point
            }
            ("en" | "ja" | "zh" | "ko" | "th" | "he" | "hi" | "ga" | "cy" | "mt", _) => Self::Point,
            (
                "be" | "bg" | "bs" | "ca" | "cs" | "da" | "de" | "el" | "es" | "et" | "eu" | "fi"
                | "fr" | "gl" | "hr" | "hu" | "id" | "is" | "it" | "kk" | "lb" | "lt" | "lv" | "mk"
                | "nb" | "nl" | "nn" | "no" | "pl" | "pt" | "ro" | "ru" | "sk" | "sl" | "sr" | "sv"
                | "tr" | "uk" | "vi",
                _,
            ) => Self::Comma,
            _ => return None,
        })
    }
}
