//! What can go wrong, named by what the caller does next.

use std::time::Duration;

use crate::helper::WORLD;

/// A failure of the browser, of a page, or of what was asked of it.
///
/// No variant ever carries a value that was typed into a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No browser was found on this machine.
    #[error("no Chromium headless shell found; looked for {}; install it with: {install}", looked_for.join(", "))]
    NoExecutable {
        /// The places that were looked at.
        looked_for: Vec<String>,
        /// The command that installs it.
        install: String,
    },
    /// The browser is missing, and installing it failed.
    #[error("installing the browser failed: `{command}` ended with {status}: {said}")]
    Install {
        /// The command that failed.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it complained about.
        said: String,
    },
    /// The browser did not start.
    #[error("the browser did not start: {reason}")]
    Launch {
        /// What happened, with the end of what the browser wrote.
        reason: String,
    },
    /// The browser has gone: it was closed, killed, or it died.
    #[error("the browser has closed")]
    Closed,
    /// The page's renderer crashed: the page can't be used any more. Or that of a frame in it,
    /// which can't be used until it has another document.
    #[error("the page crashed, or the frame in it")]
    Crashed,
    /// The page was closed or detached; it can't be used any more.
    #[error("the page was closed")]
    Detached,
    /// What was awaited did not come in time.
    #[error("waited {} ms for {awaited}; {found}", after.as_millis())]
    TimedOut {
        /// What was awaited.
        awaited: String,
        /// How long was allowed.
        after: Duration,
        /// What was there instead.
        found: String,
    },
    /// No element matched before the time was over.
    #[error("no element matches {locator} after {} ms; {found}", after.as_millis())]
    NotFound {
        /// The locator, as people write it.
        locator: String,
        /// How long was allowed.
        after: Duration,
        /// What was there instead.
        found: String,
    },
    /// Several elements match a locator where exactly one must.
    #[error("{count} elements match {locator}: {}", candidates.join(", "))]
    Ambiguous {
        /// The locator, as people write it.
        locator: String,
        /// How many elements match.
        count: usize,
        /// The first of them, described.
        candidates: Vec<String>,
    },
    /// The element is there, but could not be acted on in time.
    #[error("{locator} could not be acted on within {} ms: {reason}", after.as_millis())]
    NotActionable {
        /// The locator, as people write it.
        locator: String,
        /// How long was allowed.
        after: Duration,
        /// Why not: hidden, moving, disabled, covered by which element.
        reason: String,
    },
    /// A page could not be loaded.
    #[error("could not load {url}: {reason}")]
    Navigation {
        /// Where the navigation went.
        url: String,
        /// Chromium's name of the reason, such as `net::ERR_NAME_NOT_RESOLVED`.
        reason: String,
    },
    /// A page was kept from going to an origin that is not among those allowed
    /// (see [`Page::allow_origins`](crate::Page::allow_origins)).
    #[error("a page was led to {origin}, which is not among the allowed origins")]
    OriginRefused {
        /// The origin.
        origin: String,
    },
    /// A download failed.
    #[error("the download failed: {reason}")]
    Download {
        /// What happened.
        reason: String,
    },
    /// A download is larger than one, or all together, may be. Another time it would be so, too.
    #[error("the download failed: {reason}")]
    DownloadExcess {
        /// How much is too much.
        reason: String,
    },
    /// The body of a response can't be had: it broke off, or the browser did not keep it.
    #[error("the body of the response can't be had: {reason}")]
    NoBody {
        /// What happened.
        reason: String,
    },
    /// The browser refused a call of this client.
    #[error("{method} was refused: {message}")]
    Protocol {
        /// The protocol's method.
        method: String,
        /// The browser's own words.
        message: String,
    },
    /// A script of the caller's threw.
    #[error("the script failed: {message}")]
    Script {
        /// The exception.
        message: String,
    },
    /// A selector that can't be parsed, or a key that doesn't exist.
    #[error("bad selector {selector}: {message}")]
    BadSelector {
        /// The selector.
        selector: String,
        /// What is wrong with it.
        message: String,
    },
    /// The page's document went away while it was asked something; asking again helps.
    #[error("the document was replaced")]
    DocumentReplaced,
    /// The file system failed.
    #[error("file system")]
    Io(#[from] std::io::Error),
}

/// The words with which Chromium says that a document went away under a call.
const REPLACED: [&str; 10] = [
    "Execution context was destroyed",
    "Cannot find context with specified id",
    "Cannot find default execution context",
    "uniqueContextId not found",
    "Inspected target navigated or closed",
    "Promise was collected",
    "Could not find object with given id",
    "Session with given id not found",
    "No frame for given id found",
    "Not attached to an active page",
];

impl Error {
    /// The error that a function of the helper script gave something unexpected, which is not quoted: it is the page's.
    pub(crate) fn unreadable(function: &str, error: &serde_json::Error) -> Self {
        Self::Protocol {
            method: format!("{WORLD}.{function}"),
            message: format!("its answer can't be read ({:?})", error.classify()),
        }
    }

    /// The error that an answer of the protocol's stands for.
    pub(crate) fn from_protocol(method: &str, message: &str) -> Self {
        if REPLACED.iter().any(|words| message.contains(words)) {
            return Self::DocumentReplaced;
        }
        Self::Protocol {
            method: method.to_owned(),
            message: message.to_owned(),
        }
    }
}
