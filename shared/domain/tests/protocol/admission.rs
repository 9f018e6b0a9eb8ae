//! Two to four runs of one organization, of which only so many may have a place in the queue or with a worker: whoever
//! creates them, workers, the dispatcher, the sweeper, and an index that lags. Who is counted and who is let in is the real
//! [`domain::admission`], and what changes a run is the real [`Run::apply`]; around them, one read or write at a time, is
//! what `store::admission` and its callers do.
//!
//! What holds in every state that can be reached:
//!
//! - a worker claims a run only if fewer than the limit of those that it could see were in work: so there are more only by
//!   what was claimed while the index had not shown the others yet;
//! - nobody is let in before an older one that could be seen waiting;
//! - where no process dies and no message is lost, nobody ever waits for the sweeper while there is room;
//! - whatever dies or is lost, while there is room for one that waits the next sweep looks;
//! - whatever dies or is lost, every run is let in at last and ends.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use domain::admission::Limit;
use domain::run::{CommitId, Event, Finish, NewRun, Policy, Run, Timings};
use domain::{OrganizationId, RunId, Timestamp, WorkflowId};

use crate::explorer::{Broken, Model, Steps};

const RUNS: usize = 4;
/// How many workers may be about to claim at once, and how many may be about to let somebody in.
const AT_ONCE: usize = 2;
/// How many messages the queue may lose.
const LOSSES: u8 = 1;

/// How many minutes later something is looked at again.
const SOON: i8 = 1;
const LATER: i8 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    /// How many runs there are.
    pub(crate) runs: usize,
    pub(crate) limit: usize,
    /// Whether the index shows a change only some time after it was made.
    pub(crate) lags: bool,
    /// Whether processes die between two of their calls, messages are lost, and ends go unheard.
    pub(crate) faults: bool,
    /// How many workers there are.
    pub(crate) workers: usize,
    /// Whether it begins when as many as may be in work have just ended, which nobody has heard yet, and the others wait.
    pub(crate) have_just_ended: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// A way to break admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// What the index shows is believed also where it leaves no room.
    IndexIsBelieved,
    /// What the index shows is believed also where it leaves no room for any of those that wait.
    ShownAreBelieved,
    /// Whoever wants to let one in and finds that somebody else was faster does not look again.
    SlowerOnesGiveUp,
    /// Whoever writes a run that waits does not look again.
    WritersDoNotLook,
    /// A new run goes into the queue although others wait.
    NewOnesGoAhead,
    /// Workers don't count before they claim.
    ClaimsAreNotCounted,
    /// The sweeper leaves alone what waits.
    WaitingAreNotSwept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Absent,
    Waiting,
    Queued,
    InWork,
    /// It still owes what ends owe.
    Ended,
    Settled,
}

/// In which a run exists.
const STAGES: [Stage; 5] = [
    Stage::Waiting,
    Stage::Queued,
    Stage::InWork,
    Stage::Ended,
    Stage::Settled,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Claim {
    run: usize,
    /// As the worker read it.
    read: Stage,
    may_work: bool,
    /// Which were in work, and shown so, when it counted.
    seen_in_work: u8,
}

/// Somebody about to let runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Look {
    /// It was told of this run.
    about: usize,
    by: By,
    at: LookAt,
    /// Whether somebody else has let in one of those that it chose.
    was_slower: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LookAt {
    /// The index shows these, and room beside them.
    Shown(u8),
    /// The same, but there is no room for any of those that wait.
    ShownInTheWay(u8),
    /// These have a place, as they say themselves.
    Counted(u8),
    /// It lets these in.
    Admits(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum By {
    /// Whoever wrote it as one that waits.
    Writer,
    /// Whoever heard that it has ended.
    Concluder,
    /// The sweeper, because it waits.
    Sweeper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Room {
    Free,
    Taken(u8),
}

/// Who wrote a run as one that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Written {
    /// Whoever created it, and found these in the way.
    New(u8),
    /// A worker that may not work on it. It gives up the run's place.
    PutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    runs: [Stage; RUNS],
    /// What the index shows.
    shown: [Stage; RUNS],
    /// In how many ticks each is looked at.
    due: [i8; RUNS],
    /// Which the queue has a message about.
    messages: u8,
    /// What was found for those that are about to be written.
    creating: [Option<Room>; RUNS],
    /// Which were written as waiting by somebody who still is to look.
    to_look: [Option<Written>; RUNS],
    claims: [Option<Claim>; AT_ONCE],
    looks: [Option<Look>; AT_ONCE],
    /// Whether this sweep has looked for the organization.
    has_swept_waiting: bool,
    losses_left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    IndexShows(usize),
    Count(usize),
    Write(usize),
    WriterDies(usize),
    FindsThemThere(usize),
    LoseMessage(usize),
    CountForClaim(usize),
    Claim(usize),
    WorkerDies,
    End(usize),
    BeginLook(usize, By),
    ReadWaiting,
    ReadThoseInTheWay,
    Admit(usize),
    LookerDies,
    Sweep(usize),
}

fn bit(run: usize) -> u8 {
    1 << run
}

fn has(bits: u8, run: usize) -> bool {
    bits & bit(run) != 0
}

fn bits(of: impl Fn(usize) -> bool) -> u8 {
    (0..RUNS)
        .filter(|run| of(*run))
        .fold(0, |bits, run| bits | bit(run))
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000)
}

fn id(run: usize) -> RunId {
    RunId::new(at(0), [u8::try_from(run).unwrap_or(u8::MAX); 10])
}

/// The real run that stands somewhere, made once.
fn real(run: usize, stage: Stage) -> &'static Run {
    static ALL: LazyLock<Vec<Vec<Run>>> = LazyLock::new(|| {
        let make = |run| STAGES.map(|stage| made(run, stage)).to_vec();
        (0..RUNS).map(make).collect()
    });
    let stage = STAGES.iter().position(|known| *known == stage);
    &ALL[run][stage.expect("nobody reads what does not exist")]
}

fn made(run: usize, stage: Stage) -> Run {
    let commit = CommitId(1);
    let apply = |run: Run, event| run.apply(&event, at(0), commit).expect("a legal event");
    let new = NewRun {
        id: id(run),
        organization_id: OrganizationId::new(at(0), [1; 10]),
        workflow_id: WorkflowId::new(at(0), [2; 10]),
        workflow_version: 1,
        job_run_id: None,
        retry_of_run_id: None,
        created_by_user_id: String::new(),
        metadata: BTreeMap::new(),
        secret_bindings: BTreeMap::new(),
        policy: Policy::default(),
        trace_parent: None,
    };
    let created = Run::create(new, at(0), commit);
    match stage {
        Stage::Waiting => created.admitted(false, at(0)),
        Stage::Queued => created,
        Stage::InWork => apply(created, claimed()),
        Stage::Ended | Stage::Settled => apply(created, Event::Canceled),
        Stage::Absent => unreachable!("it does not exist"),
    }
}

fn claimed() -> Event {
    Event::Claimed {
        worker_id: String::new(),
        lease: Duration::from_secs(60),
    }
}

fn stage_of(run: &Run) -> Stage {
    if run.status().is_final() {
        Stage::Ended
    } else if run.is_in_work() {
        Stage::InWork
    } else if run.waits_for_admission() {
        Stage::Waiting
    } else {
        Stage::Queued
    }
}

/// Where an event leads, by the real transition function; nowhere if it is rejected.
fn after(run: usize, stage: Stage, event: &Event) -> Option<Stage> {
    let next = real(run, stage).apply(event, at(0), CommitId(2)).ok()?;
    Some(stage_of(&next))
}

fn finished() -> Event {
    Event::Finished {
        attempt: 1,
        finish: Finish::Completed,
        timings: Timings::default(),
        skipped: Vec::new(),
    }
}

impl World {
    fn exists(&self, run: usize) -> bool {
        self.runs[run] != Stage::Absent
    }

    /// Which have a place, as the runs themselves say.
    fn with_place(&self) -> u8 {
        bits(|run| self.exists(run) && known(run, self.runs[run], Run::has_place))
    }

    fn in_work(&self) -> u8 {
        bits(|run| self.runs[run] == Stage::InWork)
    }

    pub(crate) fn count_in_work(&self) -> u32 {
        self.in_work().count_ones()
    }

    fn shows(&self, run: usize, stages: &[Stage]) -> bool {
        stages.contains(&self.shown[run])
    }

    fn is_looked_at(&self, run: usize, by: By) -> bool {
        let mut looks = self.looks.iter().flatten();
        looks.any(|look| look.about == run && look.by == by)
    }

    fn goes(&mut self, run: usize, to: Stage, due: i8) {
        self.runs[run] = to;
        self.due[run] = due;
    }
}

/// What a real run says of itself, asked once.
fn known(run: usize, stage: Stage, says: fn(&Run) -> bool) -> bool {
    says(real(run, stage))
}

const WITH_PLACE: [Stage; 2] = [Stage::InWork, Stage::Queued];

impl Model for Admission {
    type State = World;
    type Action = Action;

    fn first(&self) -> World {
        let stands = |among_the_first, among_the_others| {
            std::array::from_fn(|run| match run {
                _ if run >= self.runs => Stage::Settled,
                _ if !self.have_just_ended => Stage::Absent,
                _ if run < self.limit => among_the_first,
                _ => among_the_others,
            })
        };
        let runs = stands(Stage::Ended, Stage::Waiting);
        World {
            runs,
            shown: stands(Stage::InWork, Stage::Waiting),
            due: runs.map(|stage| match stage {
                Stage::Ended => SOON,
                Stage::Waiting => LATER,
                _ => 0,
            }),
            messages: 0,
            creating: [None; RUNS],
            to_look: [None; RUNS],
            claims: [None; AT_ONCE],
            looks: [None; AT_ONCE],
            has_swept_waiting: false,
            losses_left: if self.faults { LOSSES } else { 0 },
        }
    }

    fn steps(&self, world: &World, into: &mut Steps<Self>) {
        let mut steps = Vec::new();
        self.time(world, &mut steps);
        self.index_and_queue(world, &mut steps);
        self.creators(world, &mut steps);
        self.workers(world, &mut steps);
        self.looks(world, &mut steps);
        self.sweeper(world, &mut steps);
        into.extend(
            steps
                .into_iter()
                .map(|(action, next)| (action, next.map(|next| self.normal(next)))),
        );
    }

    fn takes_time(action: Action) -> bool {
        action == Action::Tick
    }

    fn is_over(world: &World) -> bool {
        world.runs == [Stage::Settled; RUNS]
    }
}

impl Admission {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn limit(&self) -> Limit {
        Limit(self.limit)
    }

    /// A minute passes when the sweep has dealt with all that was due, when runners have received what the queue has, and
    /// when no call is under way. By then the index shows everything.
    fn time(&self, world: &World, steps: &mut Steps<Self>) {
        let is_live = |run: &usize| !matches!(world.runs[*run], Stage::Absent | Stage::Settled);
        let is_quiet = world.claims == [None; AT_ONCE]
            && world.looks == [None; AT_ONCE]
            && world.creating == [None; RUNS]
            && world.to_look == [None; RUNS]
            && world.messages == 0;
        let is_swept = (0..RUNS).filter(is_live).all(|run| world.due[run] > 0);
        let is_heard = self.faults || !world.runs.contains(&Stage::Ended);
        if !is_quiet || !is_swept || !is_heard || !(0..RUNS).any(|run| is_live(&run)) {
            return;
        }
        let waits = world.runs.contains(&Stage::Waiting);
        let taken = world.with_place().count_ones() as usize;
        if !self.faults && waits && self.limit().leaves_room(taken) {
            steps.push((Action::Tick, Err(Broken(WAITS_FOR_THE_SWEEPER))));
            return;
        }
        let leads_to_a_look = |run| {
            matches!(world.runs[run], Stage::Waiting | Stage::Ended) && world.due[run] <= SOON
        };
        let is_looked_at = (0..RUNS).any(leads_to_a_look);
        if waits && self.limit().leaves_room(taken) && !is_looked_at {
            steps.push((Action::Tick, Err(Broken(WAITS_FOR_LONG))));
            return;
        }
        let mut next = *world;
        next.shown = next.runs;
        next.has_swept_waiting = false;
        for run in (0..RUNS).filter(is_live) {
            next.due[run] -= 1;
        }
        steps.push((Action::Tick, Ok(next)));
    }

    fn index_and_queue(&self, world: &World, steps: &mut Steps<Self>) {
        for run in 0..RUNS {
            if world.shown[run] != world.runs[run] {
                let mut next = *world;
                next.shown[run] = world.runs[run];
                steps.push((Action::IndexShows(run), Ok(next)));
            }
            if has(world.messages, run) && world.losses_left > 0 {
                let mut next = *world;
                next.messages &= !bit(run);
                next.losses_left -= 1;
                steps.push((Action::LoseMessage(run), Ok(next)));
            }
            // It ends in its worker, or is cancelled wherever it is.
            let end = match world.runs[run] {
                Stage::InWork => after(run, Stage::InWork, &finished()),
                Stage::Waiting | Stage::Queued => after(run, world.runs[run], &Event::Canceled),
                Stage::Absent | Stage::Ended | Stage::Settled => None,
            };
            if let Some(ended) = end {
                let mut next = *world;
                next.goes(run, ended, SOON);
                steps.push((Action::End(run), Ok(next)));
            }
        }
    }

    /// The API: it counts, then writes; what has room is sent, and what waits is looked at once more.
    fn creators(&self, world: &World, steps: &mut Steps<Self>) {
        for run in 0..RUNS {
            let is_next = (0..run).all(|earlier| world.exists(earlier));
            match (world.runs[run], world.creating[run]) {
                (Stage::Absent, None) if is_next => {
                    let shown = bits(|other| world.shows(other, &WITH_PLACE));
                    let waits = bits(|other| world.shows(other, &[Stage::Waiting]));
                    let has_room = self.limit().leaves_room(shown.count_ones() as usize)
                        && (waits == 0 || self.has(Flaw::NewOnesGoAhead));
                    let mut next = *world;
                    next.creating[run] = Some(if has_room {
                        Room::Free
                    } else {
                        Room::Taken(shown)
                    });
                    steps.push((Action::Count(run), Ok(next)));
                    // What others did since it has counted could be seen by nobody then; so order is held to here.
                    let waits_visibly = (0..RUNS).any(|other| {
                        world.runs[other] == Stage::Waiting && world.shown[other] == Stage::Waiting
                    });
                    if has_room && waits_visibly {
                        steps.push((Action::Count(run), Err(Broken(OUT_OF_ORDER))));
                    }
                }
                (Stage::Absent, Some(room)) => {
                    let mut next = *world;
                    next.creating[run] = None;
                    let stage = match room {
                        Room::Free => Stage::Queued,
                        Room::Taken(_) => Stage::Waiting,
                    };
                    next.goes(run, stage, SOON);
                    if self.faults {
                        steps.push((Action::WriterDies(run), Ok(next)));
                    }
                    match room {
                        Room::Free => next.messages |= bit(run),
                        Room::Taken(by) => next.to_look[run] = Some(Written::New(by)),
                    }
                    steps.push((Action::Write(run), Ok(next)));
                }
                _ => {}
            }
        }
    }

    fn workers(&self, world: &World, steps: &mut Steps<Self>) {
        let busy = world.claims.iter().flatten().count();
        if let Some(slot) = world.claims.iter().position(Option::is_none)
            && busy < self.workers
        {
            for run in (0..RUNS).filter(|run| has(world.messages, *run)) {
                let is_taken = world.claims.iter().flatten().any(|claim| claim.run == run);
                if is_taken {
                    continue;
                }
                let mut next = *world;
                let may_work = self.has(Flaw::ClaimsAreNotCounted) || {
                    let shown = bits(|run| world.shows(run, &[Stage::InWork]));
                    self.leaves_room(shown)
                        || (!self.has(Flaw::IndexIsBelieved)
                            && self.leaves_room(shown & world.in_work()))
                };
                next.claims[slot] = Some(Claim {
                    run,
                    read: world.runs[run],
                    may_work,
                    seen_in_work: bits(|other| {
                        world.runs[other] == Stage::InWork && world.shown[other] == Stage::InWork
                    }),
                });
                steps.push((Action::CountForClaim(run), Ok(next)));
            }
        }
        for slot in 0..AT_ONCE {
            let Some(claim) = world.claims[slot] else {
                continue;
            };
            let mut done = *world;
            done.claims[slot] = None;
            if self.faults {
                steps.push((Action::WorkerDies, Ok(done)));
            }
            steps.push((Action::Claim(claim.run), self.claim(done, claim)));
        }
    }

    /// What a worker does after it has counted. The message goes in any case.
    fn claim(&self, mut world: World, claim: Claim) -> Result<World, Broken> {
        let Claim { run, read, .. } = claim;
        let stage = world.runs[run];
        world.messages &= !bit(run);
        let is_ready = matches!(stage, Stage::Queued | Stage::Waiting);
        if !claim.may_work && matches!(read, Stage::Queued | Stage::Waiting) {
            // Refused if the run is not what was read any more; somebody else has looked after it then.
            if is_ready && stage == read {
                world.goes(run, Stage::Waiting, SOON);
            }
            world.to_look[run] = Some(Written::PutBack);
            return Ok(world);
        }
        // Letting in and out is no change of a run, so that a claim counts as what it was read as.
        let from = if is_ready { read } else { stage };
        if let Some(claimed) = after(run, from, &claimed()) {
            let seen = world.in_work() & claim.seen_in_work;
            if !self.limit().leaves_room(seen.count_ones() as usize) {
                return Err(Broken(TOO_MANY));
            }
            world.goes(run, claimed, LATER);
        }
        Ok(world)
    }

    fn looks(&self, world: &World, steps: &mut Steps<Self>) {
        for run in 0..RUNS {
            if let Some(written) = world.to_look[run] {
                let mut next = *world;
                next.to_look[run] = None;
                if self.faults {
                    steps.push((Action::WriterDies(run), Ok(next)));
                }
                // Who has created it looks no further if an older one waits, since whoever lets that in lets in this one
                // in its turn, or if those that were in the way are still there.
                let is_behind = (0..run).any(|older| {
                    world.runs[older] == Stage::Waiting && world.shown[older] == Stage::Waiting
                });
                let needs_no_look = match written {
                    Written::PutBack => false,
                    Written::New(in_the_way) => {
                        let there = (in_the_way & world.with_place()).count_ones() as usize;
                        is_behind || !self.limit().leaves_room(there)
                    }
                };
                if needs_no_look || self.has(Flaw::WritersDoNotLook) {
                    steps.push((Action::FindsThemThere(run), Ok(next)));
                } else {
                    self.begin_look(&next, run, By::Writer, steps);
                }
            }
            // An end is heard of through the stream. Should the index be slower than that in showing who waits, the
            // sweeper is needed; so that is one of the faults.
            let shows_who_waits = (0..RUNS)
                .all(|run| world.runs[run] != Stage::Waiting || world.shown[run] == Stage::Waiting);
            if world.runs[run] == Stage::Ended
                && !world.is_looked_at(run, By::Concluder)
                && (self.faults || shows_who_waits)
            {
                self.begin_look(world, run, By::Concluder, steps);
            }
        }
        for slot in 0..AT_ONCE {
            let Some(look) = world.looks[slot] else {
                continue;
            };
            if self.faults {
                let mut dead = *world;
                dead.looks[slot] = None;
                dead.has_swept_waiting &= look.by != By::Sweeper;
                steps.push((Action::LookerDies, Ok(dead)));
            }
            match look.at {
                LookAt::Shown(counted) | LookAt::Counted(counted) => {
                    let next = self.read_waiting(world, slot, look, counted);
                    steps.push((Action::ReadWaiting, next));
                }
                LookAt::ShownInTheWay(shown) => {
                    let mut next = *world;
                    next.looks[slot] = Some(Look {
                        at: self.count_themselves(world, shown),
                        ..look
                    });
                    steps.push((Action::ReadThoseInTheWay, Ok(next)));
                }
                LookAt::Admits(chosen) => {
                    let Some(run) = (0..RUNS).find(|run| has(chosen, *run)) else {
                        // Who was faster may not have seen all the room that there is.
                        let next = if look.was_slower && !self.has(Flaw::SlowerOnesGiveUp) {
                            let mut next = *world;
                            next.looks[slot] = Some(self.count(world, look.about, look.by));
                            next
                        } else {
                            ended_look(world, slot, look)
                        };
                        steps.push((Action::Admit(look.about), Ok(next)));
                        continue;
                    };
                    let mut next = *world;
                    next.looks[slot] = Some(Look {
                        at: LookAt::Admits(chosen & !bit(run)),
                        was_slower: look.was_slower || next.runs[run] != Stage::Waiting,
                        ..look
                    });
                    if next.runs[run] == Stage::Waiting {
                        next.goes(run, Stage::Queued, SOON);
                        if self.faults {
                            let mut dead = next;
                            dead.looks[slot] = None;
                            dead.has_swept_waiting &= look.by != By::Sweeper;
                            steps.push((Action::LookerDies, Ok(dead)));
                        }
                        next.messages |= bit(run);
                    }
                    steps.push((Action::Admit(run), Ok(next)));
                }
            }
        }
    }

    fn begin_look(&self, world: &World, about: usize, by: By, steps: &mut Steps<Self>) {
        let Some(slot) = world.looks.iter().position(Option::is_none) else {
            return;
        };
        let mut next = *world;
        next.looks[slot] = Some(self.count(world, about, by));
        steps.push((Action::BeginLook(about, by), Ok(next)));
    }

    /// As `store` counts: what the index shows is believed if it leaves room.
    fn count(&self, world: &World, about: usize, by: By) -> Look {
        let has_ended = |run| by == By::Concluder && about == run;
        let shown = bits(|run| world.shows(run, &WITH_PLACE) && !has_ended(run));
        let at = if self.leaves_room(shown) {
            LookAt::Shown(shown)
        } else if self.has(Flaw::IndexIsBelieved) {
            LookAt::Admits(0)
        } else {
            self.count_themselves(world, shown)
        };
        Look {
            about,
            by,
            at,
            was_slower: false,
        }
    }

    fn count_themselves(&self, world: &World, shown: u8) -> LookAt {
        let counted = shown & world.with_place();
        if self.leaves_room(counted) {
            LookAt::Counted(counted)
        } else {
            LookAt::Admits(0)
        }
    }

    fn leaves_room(&self, counted: u8) -> bool {
        self.limit().leaves_room(counted.count_ones() as usize)
    }

    fn read_waiting(
        &self,
        world: &World,
        slot: usize,
        look: Look,
        counted: u8,
    ) -> Result<World, Broken> {
        let is_told = |run| run == look.about && look.by != By::Concluder;
        let seen: Vec<Run> = (0..RUNS)
            .filter(|run| world.exists(*run))
            .filter(|run| world.shows(*run, &[Stage::Waiting]) || is_told(*run))
            .map(|run| real(run, world.runs[run]).clone())
            .collect();
        let counted: Vec<RunId> = (0..RUNS).filter(|run| has(counted, *run)).map(id).collect();
        let admits = self.limit().admits(&counted, &seen);
        let chosen = bits(|run| admits.iter().any(|admitted| admitted.id == id(run)));
        let passed = bits(|run| {
            let waits = world.runs[run] == Stage::Waiting && world.shown[run] == Stage::Waiting;
            waits && !has(chosen, run) && chosen >> run != 0
        });
        if passed != 0 {
            return Err(Broken(OUT_OF_ORDER));
        }
        let mut next = *world;
        let waits = seen.iter().any(Run::waits_for_admission);
        next.looks[slot] = Some(Look {
            at: match look.at {
                LookAt::Shown(shown)
                    if chosen == 0 && waits && !self.has(Flaw::ShownAreBelieved) =>
                {
                    LookAt::ShownInTheWay(shown)
                }
                _ => LookAt::Admits(chosen),
            },
            ..look
        });
        Ok(next)
    }

    fn sweeper(&self, world: &World, steps: &mut Steps<Self>) {
        for run in (0..RUNS).filter(|run| world.due[*run] <= 0) {
            let mut next = *world;
            match world.runs[run] {
                Stage::Absent | Stage::Settled => continue,
                // The dispatcher's function, called by the sweeper, is among the looks.
                Stage::Ended => continue,
                Stage::Waiting if self.has(Flaw::WaitingAreNotSwept) => next.due[run] = LATER,
                Stage::Waiting if !world.has_swept_waiting => {
                    next.has_swept_waiting = true;
                    self.begin_look(&next, run, By::Sweeper, steps);
                    continue;
                }
                // It is the one that the sweep is looking at.
                Stage::Waiting if world.is_looked_at(run, By::Sweeper) => continue,
                Stage::Waiting => next.due[run] = LATER,
                Stage::Queued => {
                    next.messages |= bit(run);
                    next.due[run] = LATER;
                }
                // Its worker is lost.
                Stage::InWork => next.goes(run, Stage::Ended, SOON),
            }
            steps.push((Action::Sweep(run), Ok(next)));
        }
    }

    /// Without what makes no difference.
    fn normal(&self, mut world: World) -> World {
        if !self.lags {
            world.shown = world.runs;
        }
        for run in 0..RUNS {
            if world.runs[run] == Stage::Settled {
                world.due[run] = 0;
                world.messages &= !bit(run);
            }
        }
        // Which slot somebody has makes no difference.
        if world.looks[0].is_none() {
            world.looks.swap(0, 1);
        }
        if world.claims[0].is_none() {
            world.claims.swap(0, 1);
        }
        world
    }
}

/// Somebody who has let in whom it could.
fn ended_look(world: &World, slot: usize, look: Look) -> World {
    let mut next = *world;
    next.looks[slot] = None;
    match look.by {
        By::Writer => {}
        By::Concluder => next.goes(look.about, Stage::Settled, 0),
        By::Sweeper if next.runs[look.about] == Stage::Waiting => next.due[look.about] = SOON,
        By::Sweeper => {}
    }
    next
}

pub(crate) const TOO_MANY: &str =
    "a run is claimed although as many as may be are seen to be in work";
pub(crate) const OUT_OF_ORDER: &str = "a run is let in before an older one that waits";
pub(crate) const WAITS_FOR_LONG: &str =
    "a run waits although there is room, and nobody looks within a minute";
pub(crate) const WAITS_FOR_THE_SWEEPER: &str =
    "a run waits for the sweeper although there is room and nothing went wrong";
