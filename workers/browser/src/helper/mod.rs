//! The part of this client that runs inside each document, in an isolated world that the page
//! can't see: it finds elements, says whether they can be acted on, and waits for changes.
//!
//! It acts on nothing but focus, selection, scrolling and chosen values, covers what a picture must not
//! show while it is taken, and stores nothing in the page. Its parts are one script, since a document gets one.

/// The name of the isolated world in which the script runs.
pub(crate) const WORLD: &str = "legwork";

/// The script. It leaves a `legwork` behind, once for each window, and sees the events of each document.
pub(crate) const SCRIPT: &str = concat!(
    "(globalThis.legwork ??= (() => {\n\"use strict\";\n",
    include_str!("words.js"),
    include_str!("tree.js"),
    include_str!("state.js"),
    include_str!("roles.js"),
    include_str!("lookup.js"),
    include_str!("waiting.js"),
    include_str!("acting.js"),
    include_str!("reading.js"),
    include_str!("covering.js"),
    include_str!("api.js"),
    "})()).listen();\n",
);
