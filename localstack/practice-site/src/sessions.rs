//! The portal's memory: browser sessions, the accounts, and the pretend phones that codes are
//! sent to. It knows nothing of HTTP, and forgets everything with its router.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::switches::Switches;

/// The password of every account; docs/practice-site.md names it too.
const PASSWORD: &str = "correct-horse-battery";
/// How many wrong codes end a sign-in.
const TRIES_PER_CODE: u8 = 3;
/// How many sessions and phones are kept; the oldest session goes first.
const MAX_KEPT: usize = 10_000;

/// Everything that one portal remembers.
#[derive(Default)]
pub(crate) struct Site {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    switches: Switches,
    sessions: HashMap<String, Session>,
    oldest_first: VecDeque<String>,
    phones: HashMap<String, Phone>,
}

/// What the portal knows about one browser under one path prefix.
#[derive(Default)]
pub(crate) struct Session {
    /// The path prefix, such as `/with/empty=on`, or nothing.
    prefix: String,
    /// The switches that came with this browser's visits to the login page.
    pub(crate) switches: Switches,
    /// How many pages this browser has asked for.
    pub(crate) requests: u64,
    /// Which documents this browser has deleted.
    pub(crate) deleted_documents: BTreeSet<usize>,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Anonymous,
    AwaitingCode {
        email: String,
        code: String,
        tries_left: u8,
    },
    SignedIn {
        email: String,
    },
}

/// A pretend phone: what was sent to it last.
#[derive(Clone, Serialize)]
pub(crate) struct Phone {
    /// The last code, six digits.
    code: String,
    /// How many codes were sent to this phone so far.
    count: u64,
}

/// What became of an email and a password.
pub(crate) enum SignIn {
    /// They were right and enough: the session goes on under this new id.
    Done(String),
    /// They were right, and a code was sent to the account's phone.
    CodeSent,
    /// They were wrong.
    Refused,
}

/// What became of a code.
pub(crate) enum Verification {
    /// It was right: the session goes on under this new id.
    Done(String),
    /// It was wrong, and may be tried again.
    Wrong,
    /// It was wrong once too often: the sign-in is over.
    TooManyTries,
    /// No sign-in awaits a code here.
    NotAwaited,
}

impl Session {
    /// The email that is signed in, if any.
    pub(crate) fn email(&self) -> Option<&str> {
        match &self.stage {
            Stage::SignedIn { email } => Some(email),
            Stage::Anonymous | Stage::AwaitingCode { .. } => None,
        }
    }

    /// The email whose sign-in awaits a code, if any.
    pub(crate) fn awaiting_code_for(&self) -> Option<&str> {
        match &self.stage {
            Stage::AwaitingCode { email, .. } => Some(email),
            Stage::Anonymous | Stage::SignedIn { .. } => None,
        }
    }
}

impl Site {
    /// The id of the first of these sessions that exists under the prefix.
    pub(crate) fn find<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
        prefix: &str,
    ) -> Option<String> {
        let memory = self.lock();
        ids.into_iter()
            .find(|id| memory.sessions.get(*id).is_some_and(|s| s.prefix == prefix))
            .map(str::to_owned)
    }

    /// Opens a session for a browser that has none, and returns its id.
    pub(crate) fn open(&self, prefix: &str) -> String {
        let session = Session {
            prefix: prefix.to_owned(),
            ..Session::default()
        };
        self.lock().keep(session)
    }

    /// Reads or changes a session. One that went meanwhile is an empty one, whose changes are lost.
    pub(crate) fn with_session<T>(&self, id: &str, act: impl FnOnce(&mut Session) -> T) -> T {
        match self.lock().sessions.get_mut(id) {
            Some(session) => act(session),
            None => act(&mut Session::default()),
        }
    }

    /// Forgets a session.
    pub(crate) fn close(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Checks an email and a password, and signs the session in or sends a code.
    pub(crate) fn sign_in(
        &self,
        id: &str,
        email: &str,
        password: &str,
        code_for_all: bool,
    ) -> SignIn {
        let email = email.trim().to_lowercase();
        let Some(always_code) = account(&email).filter(|_| password == PASSWORD) else {
            return SignIn::Refused;
        };
        let mut memory = self.lock();
        if !(always_code || code_for_all) {
            return SignIn::Done(memory.promote(id, email));
        }
        let code = memory.send_code(&email);
        if let Some(session) = memory.sessions.get_mut(id) {
            session.stage = Stage::AwaitingCode {
                email,
                code,
                tries_left: TRIES_PER_CODE,
            };
        }
        SignIn::CodeSent
    }

    /// Checks a code against the sign-in that this session awaits it for. A code is good once.
    pub(crate) fn verify(&self, id: &str, typed: &str) -> Verification {
        let mut memory = self.lock();
        let Some(session) = memory.sessions.get_mut(id) else {
            return Verification::NotAwaited;
        };
        let Stage::AwaitingCode {
            email,
            code,
            tries_left,
        } = &mut session.stage
        else {
            return Verification::NotAwaited;
        };
        if typed.trim() == code {
            let email = std::mem::take(email);
            return Verification::Done(memory.promote(id, email));
        }
        *tries_left -= 1;
        if *tries_left > 0 {
            return Verification::Wrong;
        }
        session.stage = Stage::Anonymous;
        Verification::TooManyTries
    }

    /// What the phone of this account shows; nothing before the first code.
    pub(crate) fn phone(&self, email: &str) -> Option<Phone> {
        self.lock()
            .phones
            .get(&email.trim().to_lowercase())
            .cloned()
    }

    /// The switches of the whole site.
    pub(crate) fn switches(&self) -> Switches {
        self.lock().switches
    }

    /// Changes the switches of the whole site, or leaves them when `change` refuses.
    pub(crate) fn change_switches<E>(
        &self,
        change: impl FnOnce(Switches) -> Result<Switches, E>,
    ) -> Result<Switches, E> {
        let mut memory = self.lock();
        memory.switches = change(memory.switches)?;
        Ok(memory.switches)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn keep(&mut self, session: Session) -> String {
        let id = random_hex();
        self.sessions.insert(id.clone(), session);
        self.oldest_first.push_back(id.clone());
        if self.oldest_first.len() > MAX_KEPT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        id
    }

    fn remove(&mut self, id: &str) -> Session {
        self.oldest_first.retain(|kept| kept != id);
        self.sessions.remove(id).unwrap_or_default()
    }

    /// Signs a session in under a new id, so that an id from before the sign-in is worth nothing.
    fn promote(&mut self, id: &str, email: String) -> String {
        let mut session = self.remove(id);
        session.stage = Stage::SignedIn { email };
        self.keep(session)
    }

    /// Sends a new code, which always differs from the one before it.
    fn send_code(&mut self, email: &str) -> String {
        if self.phones.len() >= MAX_KEPT && !self.phones.contains_key(email) {
            self.phones.clear();
        }
        let last = self.phones.get(email);
        let mut code = random_code();
        while last.is_some_and(|last| last.code == code) {
            code = random_code();
        }
        let count = last.map_or(1, |last| last.count + 1);
        let phone = Phone {
            code: code.clone(),
            count,
        };
        self.phones.insert(email.to_owned(), phone);
        code
    }
}

/// Whether the account always needs a code; nothing if there is no such account.
///
/// `hr+anything@example.com` is the same account as `hr@example.com`, with a phone of its own: so
/// runs side by side don't read each other's codes.
fn account(email: &str) -> Option<bool> {
    let (mailbox, host) = email.split_once('@')?;
    let (name, _tag) = mailbox.split_once('+').unwrap_or((mailbox, ""));
    match (name, host) {
        ("hr", "example.com") => Some(false),
        ("hr-2fa", "example.com") => Some(true),
        _ => None,
    }
}

fn random_hex() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random_code() -> String {
    let number = getrandom::u32().expect("the system gives random bytes");
    format!("{:06}", number % 1_000_000)
}
