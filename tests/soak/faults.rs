//! What goes wrong with the calls of AWS, by chance, and how often it did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};

use crate::chaos::call::{Answer, Call};
use crate::chaos::policy::{After, Before, Policy};
use crate::dice::Dice;

/// The faults that were caused, by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caused {
    kinds: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Whether AWS refuses everything, to everybody.
    outage: Arc<AtomicBool>,
}

impl Caused {
    pub(crate) fn count(&self, kind: impl Into<String>) {
        let mut caused = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        *caused.entry(kind.into()).or_default() += 1;
    }

    pub(crate) fn all(&self) -> BTreeMap<String, usize> {
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From here on AWS refuses everything, or nothing any more.
    pub(crate) fn set_outage(&self, is_on: bool) {
        self.outage.store(is_on, Ordering::Relaxed);
    }

    fn is_outage(&self) -> bool {
        self.outage.load(Ordering::Relaxed)
    }
}

/// Causes faults, one of so many calls.
#[derive(Debug)]
pub(crate) struct Chance {
    dice: Dice,
    /// What is killed, for the report.
    victim: &'static str,
    caused: Caused,
}

/// Of so many calls that change something, one kills its process: half of them before AWS sees it.
const KILLS_ONE_OF: u64 = 90;
/// Of so many calls, one is cut before AWS sees it; one is done, and its answer lost; one is refused by an error; one is
/// throttled; one is late.
const FAILS_ONE_OF: u64 = 60;
/// A call is late by up to this time.
const LATE_MILLIS: u64 = 1500;

impl Chance {
    pub(crate) fn new(dice: Dice, victim: &'static str, caused: Caused) -> Self {
        Self {
            dice,
            victim,
            caused,
        }
    }

    fn hits(&mut self, one_of: u64) -> bool {
        self.dice.below(one_of) == 0
    }

    fn kills(&mut self, name: &str) -> bool {
        let kills = Call::is_effect(name) && !Call::is_poll(name) && self.hits(2 * KILLS_ONE_OF);
        if kills {
            self.caused.count(format!("{} killed", self.victim));
        }
        kills
    }
}

impl Policy for Chance {
    fn before(&mut self, call: &Call) -> Before {
        if self.caused.is_outage() {
            self.caused.count("call refused while AWS was down");
            return Before::Cut;
        }
        if self.kills(&call.to_string()) {
            return Before::Kill;
        }
        if self.hits(FAILS_ONE_OF) {
            self.caused.count("call cut before AWS saw it");
            return Before::Cut;
        }
        if self.hits(FAILS_ONE_OF) {
            self.caused.count("call answered by an error");
            return Before::Answer(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
            ));
        }
        if call.service == "DynamoDB" && self.hits(FAILS_ONE_OF) {
            self.caused.count("call throttled");
            return Before::Answer(error(StatusCode::BAD_REQUEST, "ThrottlingException"));
        }
        if self.hits(FAILS_ONE_OF) {
            self.caused.count("call late");
            return Before::Delay(Duration::from_millis(self.dice.below(LATE_MILLIS)));
        }
        Before::Forward
    }

    fn after(&mut self, call: &Call, answer: &Answer) -> After {
        if self.kills(&call.name_with(answer)) {
            return After::Kill;
        }
        if self.hits(FAILS_ONE_OF) {
            self.caused.count("answer lost");
            return After::Cut;
        }
        After::Return
    }
}

fn error(status: StatusCode, code: &str) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::from(format!(r#"{{"__type":"{code}","message":"by chance"}}"#)),
    }
}
