//! What is taken out of recorded text before it is kept.

use std::fmt;
use std::sync::Arc;

/// A function that gives a text without what must not be kept, such as the values of secrets.
///
/// It gets whole values, unescaped: one URL, one header's value, one body, one text of the DOM. A
/// secret that stands there in another shape (encoded in a URL, say) is the function's to know.
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Function>>);

type Function = dyn Fn(&str) -> String + Send + Sync;

impl Redaction {
    /// Text goes through this function.
    pub fn by(function: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    /// The text as it may be kept.
    pub(crate) fn apply(&self, text: &str) -> String {
        match &self.0 {
            None => text.to_owned(),
            Some(function) => function(text),
        }
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "by a function"
        } else {
            "none"
        })
    }
}
