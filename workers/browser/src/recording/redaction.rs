//! What is taken out of recorded text before it is kept.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A function that gives a text without what must not be kept, such as the values of secrets.
///
/// It gets whole values, unescaped: one URL, one header's value, one body, one text of the DOM. A
/// secret that stands there in another shape (encoded in a URL, say) is the function's to know.
#[derive(Clone, Default)]
pub struct Redaction {
    function: Option<Arc<Function>>,
    places: Option<Arc<Places>>,
}

type Function = dyn Fn(&str) -> String + Send + Sync;
type Places = dyn Fn(&str) -> Vec<Range<usize>> + Send + Sync;

impl Redaction {
    /// Text goes through this function.
    pub fn by(function: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self {
            function: Some(Arc::new(function)),
            places: None,
        }
    }

    /// This function gives the places, in bytes and in order, of what must not be seen in a text: pictures of a page
    /// cover them. See [`crate::Page::redact`].
    #[must_use]
    pub fn with_places(
        self,
        places: impl Fn(&str) -> Vec<Range<usize>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            places: Some(Arc::new(places)),
            ..self
        }
    }

    /// The text as it may be kept.
    pub(crate) fn apply(&self, text: &str) -> String {
        match &self.function {
            None => text.to_owned(),
            Some(function) => function(text),
        }
    }

    /// Where something is in the text that must not be seen.
    pub(crate) fn places(&self, text: &str) -> Vec<Range<usize>> {
        match &self.places {
            None => Vec::new(),
            Some(places) => places(text),
        }
    }

    /// Whether it knows what must not be seen.
    pub(crate) fn knows_places(&self) -> bool {
        self.places.is_some()
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.function.is_some() {
            "by a function"
        } else {
            "none"
        })
    }
}
