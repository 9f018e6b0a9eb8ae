//! Decodes the verbs that read and keep: `extract`, `get`, downloads, pictures; and `dialog`.

use jiff::civil::DateTime;
use jiff::fmt::strtime;

use super::decode::Decoder;
use super::extract::{Extract, FieldKind, FieldSpec, NumberStyle, PageNumber, Paging, Read};
use super::fields::Fields;
use super::grammar_steps::{
    DIALOG, DOWNLOAD, EXTRACT, FIELD, FIELD_TYPES, GET, PAGE_NUMBER, PDF, SCREENSHOT,
};
use super::locator::Locator;
use super::names::Holds;
use super::node::{Kind, Node};
use super::problem::{Rule, closest};
use super::step::{DialogAnswer, DownloadStart, Screenshot, Verb};
use super::typed::Typed;

/// How many pages an `extract` reads if it doesn't say so.
const DEFAULT_MAX_PAGES: i64 = 100;
/// The first page that is reached by its number, if an `extract` doesn't say so.
const DEFAULT_FIRST_NUMBER: i64 = 2;
/// The variable that counts the pages.
const PAGE: &str = "page";

impl Decoder<'_> {
    /// Reads an `extract`.
    pub(super) fn extract(&mut self, node: &Node) -> Option<Extract> {
        let mut fields = self.fields(node, &EXTRACT)?;
        let ready = fields.take("ready").and_then(|node| self.awaited(node));
        let rows = fields.take("rows").and_then(|node| self.locator(node));
        let columns_node = fields.take("fields");
        let columns = columns_node.map(|node| {
            if matches!(&node.kind, Kind::Mapping(entries) if entries.is_empty()) {
                self.report(&node.place, Rule::Empty, "a record has at least one field");
            }
            self.map(node, |decoder, _, node| decoder.field(node))
        });
        let paging = self.paging(&mut fields);
        let max_pages = self.take_typed_count(&mut fields, "maxPages");
        let limit = self.take_typed_count(&mut fields, "limit");
        let names: Vec<String> = match columns_node.map(|node| &node.kind) {
            Some(Kind::Mapping(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        };
        let unique_by = fields.take("uniqueBy").map(|node| match &node.kind {
            Kind::Sequence(_) => self.some(node, "field", |decoder, node| {
                decoder.field_name(node, &names)
            }),
            _ => self.field_name(node, &names).into_iter().collect(),
        });
        let file_name = fields.take("fileName").and_then(|node| self.template(node));
        let variable = self.take_variable(&mut fields, "as", Holds::Records(names));
        let stem = match (&file_name, &variable) {
            (Some(template), _) => template.literal().map(str::to_owned),
            (None, variable) => variable.clone(),
        };
        match &stem {
            Some(stem) => {
                for ending in ["json", "csv", "schema.json"] {
                    self.claim_artifact(&format!("{stem}.{ending}"), fields.place);
                }
            }
            None => self.make_other_artifact(),
        }
        Some(Extract {
            ready,
            rows: rows?,
            fields: columns?,
            paging: paging?,
            max_pages: max_pages.unwrap_or(Typed::Fixed(DEFAULT_MAX_PAGES)),
            limit,
            unique_by: unique_by.unwrap_or_default(),
            variable: variable?,
            file_name,
        })
    }

    /// Reads the name of a field that the records have.
    fn field_name(&mut self, node: &Node, names: &[String]) -> Option<String> {
        let name = self.text(node)?;
        if !names.is_empty() && !names.iter().any(|known| known == name) {
            let near = closest(name, names.iter().map(String::as_str));
            let message =
                format!("the records have no field `{name}` by which they could be unique");
            self.suggest(&node.place, Rule::UnknownVariable, message, near);
        }
        Some(name.to_owned())
    }

    fn paging(&mut self, fields: &mut Fields<'_>) -> Option<Paging> {
        if let Some(node) = fields.take("nextPage") {
            return self.locator(node).map(Paging::Next);
        }
        if let Some(node) = fields.take("loadMore") {
            return self.locator(node).map(Paging::LoadMore);
        }
        if let Some(node) = fields.take("pageNumber") {
            return self.page_number(node);
        }
        Some(match fields.take("scroll") {
            None => Paging::None,
            Some(node) if matches!(node.kind, Kind::Bool(true)) => {
                Paging::Scroll { container: None }
            }
            Some(node) if matches!(node.kind, Kind::Bool(false)) => Paging::None,
            Some(node) => Paging::Scroll {
                container: Some(self.locator(node)?),
            },
        })
    }

    fn page_number(&mut self, node: &Node) -> Option<Paging> {
        let mut fields = self.fields(node, &PAGE_NUMBER)?;
        let (click, goto) = (fields.take("click"), fields.take("goto"));
        let by = self.with_variable(Some(PAGE), Holds::Anything, |decoder| match (click, goto) {
            (Some(node), _) => decoder.locator(node).map(PageNumber::Click),
            (None, Some(node)) => decoder.url(node).map(PageNumber::Goto),
            (None, None) => None,
        });
        let from = self.take_typed_count(&mut fields, "from");
        Some(Paging::Number {
            by: by?,
            from: from.unwrap_or(Typed::Fixed(DEFAULT_FIRST_NUMBER)),
        })
    }

    /// Reads a field: a CSS selector, or a map of a locator and what is read of the element.
    fn field(&mut self, node: &Node) -> Option<FieldSpec> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            return self.locator(node).map(|locator| FieldSpec {
                locator: Some(locator),
                read: Read::Text,
                kind: FieldKind::Text,
                is_list: false,
                required: false,
                default: None,
            });
        }
        let mut fields = self.fields(node, &FIELD)?;
        let locator = self.optional_locator_in(&mut fields);
        self.field_in(&mut fields, locator)
    }

    /// Reads a `get`.
    pub(super) fn get(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &GET)?;
        let locator = self.locator_in(&mut fields);
        let field = self.field_in(&mut fields, locator);
        let variable = self.take_variable(&mut fields, "as", Holds::Anything);
        Some(Verb::Get {
            field: Box::new(field?),
            variable: variable?,
        })
    }

    /// Takes the keys that say how a value is read out of a map that also holds others.
    fn field_in(&mut self, fields: &mut Fields<'_>, locator: Option<Locator>) -> Option<FieldSpec> {
        let attribute = fields
            .take("attribute")
            .and_then(|node| self.fixed_text(node, 200));
        let written = fields.take("type");
        let name = written
            .and_then(|node| self.word(node, FIELD_TYPES))
            .unwrap_or("string");
        let is_list = name == "list";
        let items = self.take_word(fields, "of");
        if items.is_some() && !is_list {
            self.conflict(fields, "`of` says what the items of a `type: list` are");
        }
        let name = if is_list {
            items.unwrap_or("string")
        } else {
            name
        };
        if attribute.is_some() && matches!(name, "html" | "value" | "checked") {
            self.conflict(fields, "this type doesn't read an attribute");
        }
        let style = fields
            .take("locale")
            .and_then(|node| self.number_style(node));
        if style.is_some() && name != "number" {
            self.conflict(fields, "`locale` is for the type `number`");
        }
        let format = fields
            .take("format")
            .and_then(|node| self.date_format(node));
        if format.is_some() && name != "date" {
            self.conflict(fields, "`format` is for the type `date`");
        }
        let text = attribute.clone().map_or(Read::Text, Read::Attribute);
        let (read, kind) = match name {
            "number" => (text, FieldKind::Number(style.unwrap_or(NumberStyle::Point))),
            "date" => {
                let format = format.unwrap_or_else(|| "%Y-%m-%d".to_owned());
                (text, FieldKind::Date { format })
            }
            "boolean" => (text, FieldKind::Boolean),
            "link" => {
                let href = attribute.unwrap_or_else(|| "href".to_owned());
                (Read::Attribute(href), FieldKind::Link)
            }
            "html" => (Read::Html, FieldKind::Text),
            "value" => (Read::Value, FieldKind::Text),
            "checked" => (Read::Checked, FieldKind::Boolean),
            _ => (text, FieldKind::Text),
        };
        let required = fields
            .take("required")
            .and_then(|node| self.flag(node))
            .unwrap_or(false);
        let default = fields.take("default").map(Node::to_value);
        Some(FieldSpec {
            locator,
            read,
            kind,
            is_list,
            required,
            default,
        })
    }

    fn conflict(&mut self, fields: &Fields<'_>, message: &str) {
        self.report(fields.place, Rule::KeysConflict, message);
    }

    fn number_style(&mut self, node: &Node) -> Option<NumberStyle> {
        let locale = self.text(node)?;
        let style = NumberStyle::of_locale(locale);
        if style.is_none() {
            let message = format!(
                "how numbers are written in `{locale}` is not known: write `en` for 1,234.5 or `de` for 1.234,5"
            );
            self.report(&node.place, Rule::UnknownWord, message);
        }
        style
    }

    /// Reads the format of a date, which must be able to read again what it writes.
    fn date_format(&mut self, node: &Node) -> Option<String> {
        let format = self.fixed_text(node, 100)?;
        let sample = DateTime::constant(2026, 11, 23, 14, 5, 9, 0);
        let is_right = strtime::format(&format, sample)
            .and_then(|written| strtime::parse(&format, written))
            .is_ok_and(|read| read.to_date().is_ok_and(|date| date == sample.date()));
        if !is_right {
            let message = format!(
                "`{format}` does not name year, month and day: write it like `%d.%m.%Y` or `%B %d, %Y`"
            );
            self.report(&node.place, Rule::BadFormat, message);
            return None;
        }
        Some(format)
    }

    /// Reads a `download`.
    pub(super) fn download(&mut self, node: &Node) -> Option<Verb> {
        let mut fields = self.fields(node, &DOWNLOAD)?;
        let click = fields.take("click");
        let start = match click {
            Some(node) => self.locator(node).map(DownloadStart::Click),
            None => fields
                .take("url")
                .and_then(|node| self.url(node))
                .map(DownloadStart::Url),
        };
        let file_name = self.take_file_name(&mut fields);
        let holds = Holds::record(&["name", "sizeBytes"]);
        let variable = self.take_variable(&mut fields, "as", holds);
        Some(Verb::Download {
            start: start?,
            file_name,
            variable,
        })
    }

    /// Reads a `screenshot`.
    pub(super) fn screenshot(&mut self, node: &Node) -> Option<Screenshot> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            self.nothing(node)?;
            self.make_other_artifact();
            return Some(Screenshot {
                file_name: None,
                full_page: None,
                element: None,
                mask: Vec::new(),
            });
        }
        let mut fields = self.fields(node, &SCREENSHOT)?;
        let file_name = self.take_file_name(&mut fields);
        let full_page = fields
            .take("fullPage")
            .and_then(|node| self.typed_flag(node));
        let mask = fields
            .take("mask")
            .map(|node| self.list(node, Self::locator))
            .unwrap_or_default();
        Some(Screenshot {
            file_name,
            full_page,
            element: self.optional_locator_in(&mut fields),
            mask,
        })
    }

    /// Reads a `pdf`.
    pub(super) fn pdf(&mut self, node: &Node) -> Option<Verb> {
        if !matches!(node.kind, Kind::Mapping(_)) {
            self.nothing(node)?;
            self.make_other_artifact();
            return Some(Verb::Pdf { file_name: None });
        }
        let mut fields = self.fields(node, &PDF)?;
        let file_name = self.take_file_name(&mut fields);
        Some(Verb::Pdf { file_name })
    }

    /// Reads a `dialog`.
    pub(super) fn dialog(&mut self, node: &Node) -> Option<DialogAnswer> {
        if matches!(node.kind, Kind::String(_)) {
            return Some(match self.word(node, &["accept", "dismiss"])? {
                "accept" => DialogAnswer::Accept { text: None },
                _ => DialogAnswer::Dismiss,
            });
        }
        let mut fields = self.fields(node, &DIALOG)?;
        let text = fields.take("accept").and_then(|node| self.template(node))?;
        Some(DialogAnswer::Accept { text: Some(text) })
    }
}
