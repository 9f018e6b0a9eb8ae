//! What a proxy does with the calls that go through it.

use std::fmt;
use std::time::Duration;

use crate::chaos::call::{Answer, Call};

/// What becomes of a call before AWS sees it.
#[derive(Debug)]
pub(crate) enum Before {
    /// AWS sees it.
    Forward,
    /// AWS sees it later.
    Delay(Duration),
    /// The client is killed, and AWS never sees it.
    Kill,
    /// The connection is cut, and AWS never sees it.
    Cut,
    /// Somebody else answers, and AWS never sees it.
    Answer(Answer),
}

/// What becomes of AWS's answer.
#[derive(Debug)]
pub(crate) enum After {
    /// The client gets it.
    Return,
    /// The client is killed before it gets it.
    Kill,
    /// The connection is cut before the client gets it.
    Cut,
    /// The client gets another one.
    Replace(Answer),
}

/// Decides about each call, in the order in which they come.
pub(crate) trait Policy: Send {
    fn before(&mut self, _call: &Call) -> Before {
        Before::Forward
    }

    fn after(&mut self, _call: &Call, _answer: &Answer) -> After {
        After::Return
    }
}

/// Leaves everything as it is.
#[derive(Debug)]
pub(crate) struct Quiet;

impl Policy for Quiet {}

/// On which side of a call's effect a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Before AWS has seen it.
    Before,
    /// After AWS has done it, before its answer has come back.
    After,
}

/// A place in the way of a process at which it can die.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Boundary {
    /// The call's name.
    pub(crate) call: String,
    /// The how-manieth of that name, from 1.
    pub(crate) nth: usize,
    pub(crate) side: Side,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side} {} ({})", self.call, self.nth)
    }
}

/// Kills the client at one boundary.
#[derive(Debug)]
pub(crate) struct KillAt {
    boundary: Boundary,
    seen: usize,
}

impl KillAt {
    pub(crate) fn new(boundary: Boundary) -> Self {
        Self { boundary, seen: 0 }
    }

    fn is_it(&mut self, name: &str) -> bool {
        if name == self.boundary.call {
            self.seen += 1;
        }
        name == self.boundary.call && self.seen == self.boundary.nth
    }
}

impl Policy for KillAt {
    fn before(&mut self, call: &Call) -> Before {
        if self.boundary.side == Side::Before && self.is_it(&call.to_string()) {
            return Before::Kill;
        }
        Before::Forward
    }

    fn after(&mut self, call: &Call, answer: &Answer) -> After {
        if self.boundary.side == Side::After && self.is_it(&call.name_with(answer)) {
            return After::Kill;
        }
        After::Return
    }
}
