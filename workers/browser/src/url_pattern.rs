//! How a URL is named that is not known in full.

use std::fmt;

use serde::Serialize;

use crate::Error;

/// Which URLs are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlPattern {
    /// This one, as the browser writes it: with the slash after the host, and query and fragment.
    Exact(String),
    /// All of the URL, in which `*` stands for anything.
    Glob(String),
    /// A regular expression that matches somewhere in the URL. What both Rust's `regex-lite` and
    /// JavaScript understand is understood.
    Regex(String),
}

impl UrlPattern {
    /// A glob.
    pub fn glob(glob: impl Into<String>) -> Self {
        Self::Glob(glob.into())
    }

    /// The regular expression that decides, for the page.
    pub(crate) fn source(&self) -> String {
        match self {
            Self::Exact(url) => format!("^{}$", regex_lite::escape(url)),
            Self::Glob(glob) => {
                let parts: Vec<String> = glob.split('*').map(regex_lite::escape).collect();
                format!("^{}$", parts.join(".*"))
            }
            Self::Regex(source) => source.clone(),
        }
    }

    /// Whether a URL matches.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`] for a pattern that can't be read.
    pub fn is_match(&self, url: &str) -> Result<bool, Error> {
        Ok(self.compile()?.is_match(url))
    }

    /// What decides here.
    pub(crate) fn compile(&self) -> Result<regex_lite::Regex, Error> {
        regex_lite::Regex::new(&self.source()).map_err(|error| Error::BadSelector {
            selector: self.to_string(),
            message: error.to_string(),
        })
    }
}

/// The page gets the regular expression.
impl Serialize for UrlPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source())
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(url) | Self::Glob(url) => f.write_str(url),
            Self::Regex(source) => write!(f, "/{source}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_pattern_decides_as_it_says() {
        let cases = [
            (
                UrlPattern::Exact("http://a/b?c=1".into()),
                "http://a/b?c=1",
                true,
            ),
            (
                UrlPattern::Exact("http://a/b".into()),
                "http://a/b?c=1",
                false,
            ),
            (UrlPattern::glob("*/b?c=*"), "http://a/b?c=1", true),
            (UrlPattern::glob("http://a.c/*"), "http://abc/x", false),
            (UrlPattern::Regex("/b/\\d+$".into()), "http://a/b/42", true),
            (UrlPattern::Regex("^b".into()), "http://a/b/42", false),
        ];
        for (pattern, url, expected) in cases {
            let regex = pattern.compile().expect("it can be read");
            assert_eq!(regex.is_match(url), expected, "{pattern} on {url}");
        }
        let broken = UrlPattern::Regex("(".into()).compile();
        assert!(matches!(broken, Err(Error::BadSelector { .. })));
    }
}
