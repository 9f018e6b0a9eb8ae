//! Pages of lists: how many, from where, and the span of ids that a page may come from. Never a filter: what a page
//! shows is found by keys, so that its cost doesn't depend on how much there is.

use domain::Timestamp;
use uuid::Uuid;

/// How many entries a page has at most: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u8);

impl PageSize {
    /// What a page has where nobody says anything else.
    pub const DEFAULT: Self = Self(20);

    /// None if it isn't 1 to 100.
    #[must_use]
    pub fn new(entries: u32) -> Option<Self> {
        match u8::try_from(entries) {
            Ok(entries @ 1..=100) => Some(Self(entries)),
            _ => None,
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }

    pub(crate) fn entries(self) -> usize {
        usize::from(self.0)
    }

    /// One more than a page has: whether there is another page is seen by whether there is that one.
    pub(crate) fn and_one(self) -> i32 {
        i32::from(self.0) + 1
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, Position> {
    /// What it shows. Fewer than asked for, even none, doesn't mean that the list has ended.
    pub items: Vec<T>,
    /// Where the next page goes on: after the last entry that was looked at, whether it is shown or not. None when
    /// nothing is left.
    pub next: Option<Position>,
}

impl<T, Position> Page<T, Position> {
    /// A page that is all there is, and shows nothing.
    pub(crate) fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }

    /// Cuts what was found, at most one more than the page has, to a page.
    pub(crate) fn cut(
        mut found: Vec<T>,
        size: PageSize,
        position: impl Fn(&T) -> Position,
    ) -> Self {
        let has_more = found.len() > size.entries();
        found.truncate(size.entries());
        let next = found.last().filter(|_| has_more).map(position);
        Self { items: found, next }
    }

    /// Makes something else of each entry, or leaves it out. Where the next page goes on stays the same.
    pub(crate) fn show<U>(self, show: impl FnMut(T) -> Option<U>) -> Page<U, Position> {
        Page {
            items: self.items.into_iter().filter_map(show).collect(),
            next: self.next,
        }
    }
}

/// A part of time: what a list shows was created in it, as its ids say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeWindow {
    /// From when on, this very millisecond included.
    pub created_after: Option<Timestamp>,
    /// Until when, this very millisecond excluded. So two windows that meet show nothing twice.
    pub created_before: Option<Timestamp>,
}

/// A span of ids as texts, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) low: String,
    pub(crate) high: String,
}

impl Span {
    /// The ids of a window that are older than one. None if there can't be any: DynamoDB takes an empty span for a
    /// mistake.
    pub(crate) fn older_than(after: Option<Uuid>, window: TimeWindow) -> Option<Self> {
        let low = window
            .created_after
            .map_or_else(|| "0".to_owned(), time_part);
        // "g" sorts after every hexadecimal digit, and the bare time before every id that has it.
        let until = window
            .created_before
            .map_or_else(|| "g".to_owned(), time_part);
        let high = match after {
            None => until,
            Some(after) => until.min(predecessor(after)?),
        };
        (low <= high).then_some(Self { low, high })
    }

    /// The same span behind a prefix.
    pub(crate) fn behind(self, prefix: &str) -> Self {
        Self {
            low: format!("{prefix}{}", self.low),
            high: format!("{prefix}{}", self.high),
        }
    }

    pub(crate) fn holds(&self, id: Uuid) -> bool {
        let id = id.to_string();
        self.low <= id && id <= self.high
    }
}

/// The first 48 bits of a UUIDv7 are its time in milliseconds (RFC 9562, section 5.7); this is how an id begins that
/// was made then.
fn time_part(at: Timestamp) -> String {
    let digits = format!("{:012x}", at.as_millis());
    let (high, low) = digits.split_at(8);
    format!("{high}-{low}")
}

/// The id just before: ids sort as texts as they do as numbers.
fn predecessor(id: Uuid) -> Option<String> {
    let before = id.as_u128().checked_sub(1)?;
    Some(Uuid::from_u128(before).to_string())
}

#[cfg(test)]
mod tests {
    use domain::RunId;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn id(millis: i64, random: u8) -> Uuid {
        RunId::new(at(millis), [random; 10]).as_uuid()
    }

    #[test]
    fn a_window_includes_its_first_millisecond_and_excludes_its_last() {
        let window = TimeWindow {
            created_after: Some(at(1_763_872_869_123)),
            created_before: Some(at(1_763_872_869_125)),
        };
        let span = Span::older_than(None, window).expect("a span");
        for random in [0, 255] {
            assert!(!span.holds(id(1_763_872_869_122, random)));
            assert!(span.holds(id(1_763_872_869_123, random)));
            assert!(span.holds(id(1_763_872_869_124, random)));
            assert!(!span.holds(id(1_763_872_869_125, random)));
        }
    }

    #[test]
    fn what_comes_after_an_id_is_strictly_older() {
        let (older, newer) = (id(1_000, 7), id(1_000, 8));
        let span = Span::older_than(Some(newer), TimeWindow::default()).expect("a span");
        assert!(span.holds(older));
        assert!(!span.holds(newer));
    }

    #[test]
    fn a_span_without_ids_is_none() {
        let window = |created_after, created_before| TimeWindow {
            created_after: Some(at(created_after)),
            created_before: Some(at(created_before)),
        };
        assert_eq!(Span::older_than(None, window(2_000, 1_000)), None);
        assert_eq!(
            Span::older_than(Some(id(1_000, 0)), window(2_000, 3_000)),
            None
        );
        assert_eq!(
            Span::older_than(Some(Uuid::nil()), TimeWindow::default()),
            None
        );
    }

    #[test]
    fn a_page_has_1_to_100_entries() {
        assert_eq!(PageSize::new(0), None);
        assert_eq!(PageSize::new(1).map(PageSize::get), Some(1));
        assert_eq!(PageSize::new(100).map(PageSize::get), Some(100));
        assert_eq!(PageSize::new(101), None);
        assert_eq!(PageSize::new(256), None);
    }
}
