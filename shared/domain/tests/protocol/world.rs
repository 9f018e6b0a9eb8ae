//! Everything around the run: workers with their clocks and heartbeats, the sweeper, the queue, the network between
//! them and the table, and all that can go wrong with each. What a worker and a sweeper do here is what
//! `workers/runner` and `functions/sweeper` do, one write at a time.

use crate::explorer::{Broken, Model, Steps};
use crate::stored::{
    Code, LEASE, OLDEST, Place, QUEUE_TIME, Stored, Ticks, WORKERS_TIME, What, created,
};

/// Who waits for an answer: two workers, then two sweepers. Only for these does a commit id in the history matter.
const WORKERS: usize = 2;
const SWEEPERS: usize = 2;
/// A request that nobody waits for.
const NOBODY: u8 = u8::MAX;

pub(crate) const ENDED_EARLY: &str =
    "a lease is ended that is not over, by more than clocks differ";

/// How large the world is, and what is wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// How many of the workers there are.
    pub(crate) workers: usize,
    /// How many sweeps may go on at once.
    pub(crate) sweepers: usize,
    /// How far ahead a wall clock of a worker or of a caller may be: at each reading anew, so that clocks also jump.
    pub(crate) skew: Ticks,
    /// How far ahead the sweeper's may be.
    pub(crate) sweeper_skew: Ticks,
    /// Whether workers renew their leases.
    pub(crate) heartbeats: bool,
    /// Whether a request may arrive after its sender has stopped to wait for it.
    pub(crate) late: bool,
    /// Whether the workflow asks a person.
    pub(crate) asks: bool,
    /// What the workflow says about retries.
    pub(crate) max_attempts: u8,
    /// How many attempts there have been that never began.
    pub(crate) attempts_before: u8,
    /// What was taken out of the protocol.
    pub(crate) flaw: Option<Flaw>,
}

/// A way to break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A worker's write doesn't name its attempt: it counts for whichever is the run's.
    NoFence,
    /// A write takes effect although the run has changed since it was read.
    NoCondition,
    /// A write that is tried again has a new commit id.
    NewCommitIdForEachTry,
    /// A heartbeat that was long under way replaces a later one.
    RenewalsOutOfOrder,
    /// The end of a lease leaves the lease's item as it is.
    LeaseItemOutlivesLease,
    /// The sweeper looks at what the claim said, not at what was renewed.
    SweeperForgetsHeartbeats,
    /// A lease is ended although it was renewed after the sweeper has looked.
    LeaseEndsWithoutLooking,
    /// Nobody looks at what is overdue in the queue.
    QueueIsNotSwept,
}

/// A conditional write under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Write {
    what: What,
    /// The attempt that it names; 0 if that is not the run's.
    attempt: u8,
    /// What the sender's clock said.
    now: Ticks,
    /// Whether the run's sequence is still the one that it was computed from.
    is_current: bool,
    /// Whether another worker has claimed the run since the sender did: kept beside the run, to hold the fence to it.
    is_overtaken: bool,
    /// Whose commit id it carries.
    commit_of: u8,
    /// What it was computed from, where nothing holds it to that.
    computed_from: Option<Stored>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Heartbeat {
    /// When it was sent, by the worker's monotonic clock.
    asked_at: Ticks,
    /// What it writes: when the lease ends by the worker's wall clock.
    expires_at: Ticks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    Claimed,
    InState,
    Asked,
    Answered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Worker {
    Idle,
    Claiming {
        /// By its monotonic clock.
        asked_at: Ticks,
        write: Write,
    },
    Holding(Holding),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Holding {
    /// 0 if it is not the run's.
    attempt: u8,
    is_overtaken: bool,
    /// How much of its lease is left by its monotonic clock: while there is some, it believes that the run is its own.
    lease_left: Ticks,
    stage: Stage,
    write: Option<Write>,
    heartbeat: Option<Heartbeat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) run: Stored,
    /// Whether the queue has a message about the run. It may be received again and again until it is deleted.
    queue: bool,
    /// When the lease's item says that the lease of the run's attempt is over.
    lease: Ticks,
    workers: [Worker; WORKERS],
    sweepers: [Option<Write>; SWEEPERS],
    /// A write whose sender waits no more.
    late_write: Option<Write>,
    /// A heartbeat of the run's attempt whose sender waits no more: when it lets the lease end.
    late_heartbeat: Option<Ticks>,
    /// How many workers have begun to act on the site.
    began: u8,
    /// Whether a sweep has gone through in this tick.
    is_swept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Cancel,
    Answer(Ticks),
    LoseMessage,
    LateWriteLands,
    LateWriteVanishes,
    LateHeartbeatLands,
    LateHeartbeatVanishes,
    Worker(usize, Act),
    Sweeper(usize, Act),
}

/// What a worker or a sweeper does, or what becomes of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begins(What, Ticks),
    IsAnswered,
    AnswerIsLost,
    RequestIsLost,
    RequestIsLate,
    IsRefused,
    SeesTheAnswer,
    Stops,
    Renews(Ticks),
    IsRenewed,
    RenewalIsLost,
    RenewalIsUnanswered,
    RenewalIsLate,
    FindsNothing,
    EnqueuesAndDies,
    Enqueues,
    FindsItAlive,
    Settles,
}

/// What became of a write, as its sender sees it.
enum Answered {
    Committed {
        /// Whether another worker has claimed the run since.
        is_overtaken: bool,
    },
    Rejected,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn first(&self) -> World {
        World {
            run: created(self.max_attempts, self.attempts_before),
            queue: true,
            lease: 0,
            workers: [Worker::Idle; WORKERS],
            sweepers: [None; SWEEPERS],
            late_write: None,
            late_heartbeat: None,
            began: 0,
            is_swept: false,
        }
    }

    fn steps(&self, world: &World, into: &mut Steps<Self>) {
        let mut steps = Vec::new();
        self.time(world, &mut steps);
        self.callers(world, &mut steps);
        self.network(world, &mut steps);
        for index in 0..WORKERS {
            self.worker(world, index, &mut steps);
        }
        for index in 0..self.sweepers {
            self.sweeper(world, index, &mut steps);
        }
        into.extend(
            steps
                .into_iter()
                .map(|(action, next)| (action, next.and_then(|next| self.checked(next)))),
        );
    }

    fn takes_time(action: Action) -> bool {
        action == Action::Tick
    }

    fn is_over(world: &World) -> bool {
        world.run.is_settled()
    }
}

impl Protocol {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn readings(&self) -> std::ops::RangeInclusive<Ticks> {
        0..=self.skew
    }

    /// Time passes only after a sweep has gone through: that is all the fairness that there is. Workers may do nothing
    /// for ever, and the queue may lose everything.
    fn time(&self, world: &World, steps: &mut Steps<Self>) {
        if !world.is_swept {
            return;
        }
        let mut next = *world;
        next.is_swept = false;
        next.run = next.run.later();
        next.lease = (next.lease - 1).max(0);
        for worker in &mut next.workers {
            match worker {
                Worker::Idle => {}
                Worker::Claiming { asked_at, write } => {
                    *asked_at -= 1;
                    if !write.grows_older() {
                        *worker = Worker::Idle;
                    }
                }
                Worker::Holding(holding) => {
                    holding.lease_left = (holding.lease_left - 1).max(0);
                    if let Some(write) = &mut holding.write
                        && !write.grows_older()
                    {
                        write.now = 0;
                    }
                    if let Some(heartbeat) = &mut holding.heartbeat {
                        heartbeat.asked_at -= 1;
                        heartbeat.expires_at -= 1;
                        if heartbeat.asked_at < OLDEST {
                            holding.heartbeat = None;
                        }
                    }
                }
            }
        }
        for sweeper in &mut next.sweepers {
            *sweeper = sweeper.take().filter_map_older();
        }
        next.late_write = next.late_write.take().filter_map_older();
        next.late_heartbeat = next
            .late_heartbeat
            .map(|expires_at| expires_at - 1)
            .filter(|expires_at| *expires_at > 0);
        steps.push((Action::Tick, Ok(next)));
    }

    /// People and their programs: they cancel and answer. Their requests may come a tick late.
    fn callers(&self, world: &World, steps: &mut Steps<Self>) {
        if world.run.has_ended() {
            return;
        }
        let canceled = self
            .apply(world, What::Cancel, 0, 0)
            .and_then(|next| match next {
                Some(next) if next.run.place == Place::Failed(Code::Canceled) => Ok(next),
                _ => Err(Broken("a cancellation that came first did not win")),
            });
        steps.push((Action::Cancel, canceled));
        if let Place::Awaiting { .. } = world.run.place {
            for now in OLDEST..=self.skew {
                match self.apply(world, What::Answer, world.run.attempt, now) {
                    Ok(None) => {}
                    Ok(Some(next)) => steps.push((Action::Answer(now), Ok(next))),
                    Err(broken) => steps.push((Action::Answer(now), Err(broken))),
                }
            }
        }
    }

    fn network(&self, world: &World, steps: &mut Steps<Self>) {
        if world.queue {
            steps.push((
                Action::LoseMessage,
                Ok(World {
                    queue: false,
                    ..*world
                }),
            ));
        }
        if let Some(write) = world.late_write {
            let without = World {
                late_write: None,
                ..*world
            };
            steps.push((Action::LateWriteVanishes, Ok(without)));
            if !self.is_barred(&without, write) {
                steps.push((Action::LateWriteLands, self.land(&without, write)));
            }
        }
        if let Some(expires_at) = world.late_heartbeat {
            let without = World {
                late_heartbeat: None,
                ..*world
            };
            steps.push((Action::LateHeartbeatVanishes, Ok(without)));
            let mut landed = without;
            self.renew(&mut landed, expires_at);
            steps.push((Action::LateHeartbeatLands, Ok(landed)));
        }
    }

    fn renew(&self, world: &mut World, expires_at: Ticks) {
        world.lease = if self.has(Flaw::RenewalsOutOfOrder) {
            expires_at
        } else {
            world.lease.max(expires_at)
        };
    }

    fn worker(&self, world: &World, index: usize, steps: &mut Steps<Self>) {
        let acts = |act| Action::Worker(index, act);
        let with = |worker| {
            let mut next = *world;
            next.workers[index] = worker;
            next
        };
        match world.workers[index] {
            Worker::Idle => {
                let busy = world
                    .workers
                    .iter()
                    .filter(|worker| **worker != Worker::Idle);
                if !world.queue || busy.count() == self.workers {
                    return;
                }
                for now in self.readings() {
                    let act = acts(Act::Begins(What::Claim, now));
                    match self.send(world, What::Claim, 0, now, false, index) {
                        Ok(Some(write)) => {
                            let claiming = Worker::Claiming { asked_at: 0, write };
                            steps.push((act, Ok(with(claiming))));
                        }
                        // The message can go.
                        Ok(None) => steps.push((
                            act,
                            Ok(World {
                                queue: false,
                                ..*world
                            }),
                        )),
                        Err(broken) => steps.push((act, Err(broken))),
                    }
                }
            }
            Worker::Claiming { asked_at, write } => {
                let waiting = with(Worker::Idle);
                self.request(&waiting, write, &acts, steps, |world, write| {
                    world.workers[index] = Worker::Claiming { asked_at, write };
                });
                self.answers(&waiting, write, &acts, steps, |world, answered, into| {
                    // Whether the message gets deleted or not, it has done its work.
                    let deleted = World {
                        queue: false,
                        ..world
                    };
                    match answered {
                        Answered::Rejected => into.push(Ok(deleted)),
                        Answered::Committed { is_overtaken } => {
                            let holding = Worker::Holding(Holding {
                                attempt: if is_overtaken { 0 } else { world.run.attempt },
                                is_overtaken,
                                lease_left: (asked_at + LEASE).max(0),
                                stage: Stage::Claimed,
                                write: None,
                                heartbeat: None,
                            });
                            for mut next in [world, deleted] {
                                next.workers[index] = holding;
                                into.push(Ok(next));
                            }
                        }
                    }
                });
                // The call failed: the message comes back, and the worker forgets what it asked for.
                steps.push((acts(Act::RequestIsLost), Ok(waiting)));
                if let Some(late) = self.late(&waiting, write) {
                    steps.push((acts(Act::RequestIsLate), Ok(late)));
                }
            }
            Worker::Holding(holding) => self.holder(world, index, holding, steps),
        }
    }

    fn holder(&self, world: &World, index: usize, holding: Holding, steps: &mut Steps<Self>) {
        let acts = |act| Action::Worker(index, act);
        let with = |holding| {
            let mut next = *world;
            next.workers[index] = Worker::Holding(holding);
            next
        };
        // It crashed, its lease ended, it saw that the run is not its own any more: all the same to everybody else.
        let mut stopped = *world;
        stopped.workers[index] = Worker::Idle;
        steps.push((acts(Act::Stops), Ok(stopped)));
        if let Some(late) = holding.write.and_then(|write| self.late(&stopped, write)) {
            steps.push((acts(Act::Stops), Ok(late)));
        }

        for (what, now) in self.wishes(world, &holding) {
            let act = acts(Act::Begins(what, now));
            let given_up = world.with_new_commit_of(index);
            let mut bases = vec![given_up];
            if let Some(late) = holding.write.and_then(|write| self.late(&given_up, write)) {
                bases.push(late.with_new_commit_of(index));
            }
            for base in bases {
                let sent = self.send(
                    &base,
                    what,
                    holding.attempt,
                    now,
                    holding.is_overtaken,
                    index,
                );
                steps.push((
                    act,
                    sent.and_then(|sent| {
                        let mut next = base;
                        next.workers[index] = match sent {
                            Some(write) => Worker::Holding(Holding {
                                write: Some(write),
                                ..holding
                            }),
                            None => Worker::Idle,
                        };
                        if sent.is_none() {
                            self.may_leave(world, &holding, what)?;
                        }
                        Ok(next)
                    }),
                ));
            }
        }
        if holding.stage == Stage::Asked
            && holding.write.is_none()
            && !holding.is_overtaken
            && matches!(world.run.place, Place::Working { .. })
        {
            steps.push((
                acts(Act::SeesTheAnswer),
                Ok(with(Holding {
                    stage: Stage::Answered,
                    ..holding
                })),
            ));
        }

        if let Some(write) = holding.write {
            let waiting = with(Holding {
                write: None,
                ..holding
            });
            self.request(&waiting, write, &acts, steps, |world, write| {
                world.workers[index] = Worker::Holding(Holding {
                    write: Some(write),
                    ..holding
                });
            });
            self.answers(&waiting, write, &acts, steps, |world, answered, into| {
                self.goes_on(world, index, &holding, write.what, answered, into);
            });
            // The call failed: it is tried again, with the same commit id and what the clock says then.
            for now in self.readings() {
                let again = Write { now, ..write };
                let mut next = *world;
                if again.is_current && self.apply_as(world, again).is_ok_and(|next| next.is_none())
                {
                    // Its clock was set back meanwhile.
                    next.workers[index] = Worker::Idle;
                    steps.push((acts(Act::RequestIsLost), Ok(next)));
                    continue;
                }
                if self.has(Flaw::NewCommitIdForEachTry) {
                    next = next.with_new_commit_of(index);
                }
                next.workers[index] = Worker::Holding(Holding {
                    write: Some(again),
                    ..holding
                });
                steps.push((acts(Act::RequestIsLost), Ok(next)));
                if let Some(late) = self.late(&next, write) {
                    steps.push((acts(Act::RequestIsLate), Ok(late)));
                }
            }
        }

        if !self.heartbeats {
            return;
        }
        let Some(heartbeat) = holding.heartbeat else {
            if holding.lease_left > 0 && !holding.is_overtaken
                || self.has(Flaw::LeaseItemOutlivesLease)
            {
                for now in self.readings() {
                    let heartbeat = Some(Heartbeat {
                        asked_at: 0,
                        expires_at: now + LEASE,
                    });
                    let renewing = Holding {
                        heartbeat,
                        ..holding
                    };
                    steps.push((acts(Act::Renews(now)), Ok(with(renewing))));
                }
            }
            return;
        };
        let unanswered = Holding {
            heartbeat: None,
            ..holding
        };
        steps.push((acts(Act::RenewalIsLost), Ok(with(unanswered))));
        // The item of a lease that was ended belongs to the attempt that comes next.
        let is_held = !holding.is_overtaken && !matches!(world.run.place, Place::Ready { .. });
        if !is_held && !self.has(Flaw::LeaseItemOutlivesLease) {
            steps.push((acts(Act::IsRefused), Ok(stopped)));
            return;
        }
        let mut renewed = with(unanswered);
        if is_held {
            self.renew(&mut renewed, heartbeat.expires_at);
            if self.late && world.late_heartbeat.is_none() {
                steps.push((
                    acts(Act::RenewalIsLate),
                    Ok(World {
                        late_heartbeat: Some(heartbeat.expires_at),
                        ..with(unanswered)
                    }),
                ));
            }
        }
        steps.push((acts(Act::RenewalIsUnanswered), Ok(renewed)));
        // Also if its lease was over when the answer came: the item says that nobody has ended it.
        renewed.workers[index] = Worker::Holding(Holding {
            lease_left: (heartbeat.asked_at + LEASE).max(holding.lease_left),
            ..unanswered
        });
        steps.push((acts(Act::IsRenewed), Ok(renewed)));
    }

    /// What a worker may want to write next.
    fn wishes(&self, world: &World, holding: &Holding) -> Vec<(What, Ticks)> {
        let mut wishes = Vec::new();
        let is_ending = holding.write.is_some_and(|write| write.ends_the_work());
        for now in self.readings() {
            if holding.write.is_none() {
                match holding.stage {
                    Stage::Claimed => wishes.push((What::Enter, now)),
                    Stage::InState if self.asks => {
                        wishes.push((What::Ask, now));
                        wishes.push((What::Complete, now));
                    }
                    Stage::InState | Stage::Answered => wishes.push((What::Complete, now)),
                    Stage::Asked => {}
                }
                if let (Stage::Asked, Place::Awaiting { expires_at, .. }) =
                    (holding.stage, world.run.place)
                    && !holding.is_overtaken
                    && now >= expires_at
                {
                    wishes.push((What::GoOnUnanswered, now));
                }
            }
            if is_ending {
                continue;
            }
            // Whatever it does: it must stop, or its working time is over.
            wishes.push((What::GiveBack, now));
            let is_out_of_time = match world.run.place {
                Place::Working { deadline, .. } => now >= deadline || holding.is_overtaken,
                _ => false,
            };
            if is_out_of_time {
                wishes.push((What::PassWorkDeadline, now));
            }
        }
        wishes
    }

    fn goes_on(
        &self,
        world: World,
        index: usize,
        holding: &Holding,
        what: What,
        answered: Answered,
        into: &mut Vec<Result<World, Broken>>,
    ) {
        let mut next = world;
        let is_at_work = !holding.is_overtaken && matches!(world.run.place, Place::Working { .. });
        let stage = match (answered, what) {
            // The answer was faster.
            (Answered::Rejected, What::GoOnUnanswered) if is_at_work => Stage::Answered,
            (Answered::Rejected, _) => {
                next.workers[index] = Worker::Idle;
                into.push(self.may_leave(&world, holding, what).map(|()| next));
                return;
            }
            (Answered::Committed { .. }, What::Enter) => Stage::InState,
            (Answered::Committed { .. }, What::Ask) => Stage::Asked,
            (Answered::Committed { .. }, What::GoOnUnanswered) => Stage::Answered,
            (Answered::Committed { .. }, _) => {
                next.workers[index] = Worker::Idle;
                into.push(Ok(next));
                if what == What::GiveBack && matches!(world.run.place, Place::Ready { .. }) {
                    next.queue = true;
                    into.push(Ok(next));
                }
                return;
            }
        };
        // The commit's answer shows the run as it is: not this worker's any more, perhaps.
        if holding.is_overtaken || matches!(world.run.place, Place::Ready { .. }) {
            next.workers[index] = Worker::Idle;
            into.push(Ok(next));
            return;
        }
        if stage == Stage::InState {
            next.began += 1;
            if next.began > self.max_attempts || next.began > world.run.executions {
                into.push(Err(Broken("the site is acted on by too many attempts")));
                return;
            }
        }
        next.workers[index] = Worker::Holding(Holding {
            stage,
            write: None,
            ..match next.workers[index] {
                Worker::Holding(holding) => holding,
                Worker::Idle | Worker::Claiming { .. } => *holding,
            }
        });
        into.push(Ok(next));
    }

    /// A worker leaves a run only if it is not its own any more, or it wanted to end it.
    fn may_leave(&self, world: &World, holding: &Holding, what: What) -> Result<(), Broken> {
        let is_its_own = !holding.is_overtaken
            && matches!(
                world.run.place,
                Place::Working { .. } | Place::Awaiting { .. }
            );
        let is_to_go_on = matches!(
            what,
            What::Enter | What::Ask | What::GoOnUnanswered | What::Complete
        );
        if is_its_own && is_to_go_on {
            return Err(Broken("a worker leaves a run that is its own"));
        }
        Ok(())
    }

    fn sweeper(&self, world: &World, index: usize, steps: &mut Steps<Self>) {
        let acts = |act| Action::Sweeper(index, act);
        let label = WORKERS + index;
        if let Some(write) = world.sweepers[index] {
            let mut waiting = *world;
            waiting.sweepers[index] = None;
            self.request(&waiting, write, &acts, steps, |world, write| {
                world.sweepers[index] = Some(write);
            });
            self.answers(&waiting, write, &acts, steps, |world, answered, into| {
                let mut next = world;
                next.is_swept = true;
                into.push(Ok(next));
                if matches!(answered, Answered::Committed { .. })
                    && write.what == What::EndLease
                    && matches!(world.run.place, Place::Ready { .. })
                {
                    next.queue = true;
                    into.push(Ok(next));
                }
            });
            steps.push((acts(Act::RequestIsLost), Ok(waiting)));
            if let Some(late) = self.late(&waiting, write) {
                steps.push((acts(Act::RequestIsLate), Ok(late)));
            }
            return;
        }
        for now in 0..=self.sweeper_skew {
            self.sweep(&world.with_new_commit_of(label), index, now, steps);
        }
    }

    /// One sweep's look at the run, as `functions/sweeper` has it.
    fn sweep(&self, world: &World, index: usize, now: Ticks, steps: &mut Steps<Self>) {
        let acts = |act| Action::Sweeper(index, act);
        let run = &world.run;
        let mut done = *world;
        done.is_swept = true;
        if run.due_at.is_none_or(|due_at| due_at > now) {
            steps.push((acts(Act::FindsNothing), Ok(done)));
            return;
        }
        let (deadline, passed) = match run.place {
            Place::Ready { since, .. } => {
                if self.has(Flaw::QueueIsNotSwept) {
                    steps.push((acts(Act::FindsNothing), Ok(done)));
                } else if now >= since + QUEUE_TIME {
                    self.sweeper_sends(world, index, What::PassQueueDeadline, now, steps);
                } else {
                    steps.push((
                        acts(Act::EnqueuesAndDies),
                        Ok(World {
                            queue: true,
                            ..*world
                        }),
                    ));
                    done.queue = true;
                    done.run = run.enqueued_again(self.max_attempts, now);
                    steps.push((acts(Act::Enqueues), Ok(done)));
                }
                return;
            }
            Place::Working { deadline, .. } => (deadline, What::PassWorkDeadline),
            Place::Awaiting { expires_at, .. } => (expires_at, What::ExpireQuestion),
            Place::Completed | Place::Failed(_) => {
                done.run.due_at = None;
                steps.push((acts(Act::Settles), Ok(done)));
                return;
            }
        };
        let latest = deadline + WORKERS_TIME;
        let is_alive = world.lease > now && !self.has(Flaw::SweeperForgetsHeartbeats);
        if is_alive && now < latest {
            done.run.due_at = Some(world.lease.min(latest));
            steps.push((acts(Act::FindsItAlive), Ok(done)));
        } else if now >= deadline {
            self.sweeper_sends(world, index, passed, now, steps);
        } else {
            self.sweeper_sends(world, index, What::EndLease, now, steps);
        }
    }

    fn sweeper_sends(
        &self,
        world: &World,
        index: usize,
        what: What,
        now: Ticks,
        steps: &mut Steps<Self>,
    ) {
        let sent = self.send(world, what, world.run.attempt, now, false, WORKERS + index);
        steps.push((
            Action::Sweeper(index, Act::Begins(what, now)),
            sent.map(|sent| {
                let mut next = *world;
                next.sweepers[index] = sent;
                next.is_swept |= sent.is_none();
                next
            }),
        ));
    }

    /// Computes a write from the run as it is. `None` if the run can't be changed by it.
    fn send(
        &self,
        world: &World,
        what: What,
        attempt: u8,
        now: Ticks,
        is_overtaken: bool,
        sender: usize,
    ) -> Result<Option<Write>, Broken> {
        let attempt = if self.has(Flaw::NoFence) {
            world.run.attempt
        } else {
            attempt
        };
        let next = world.run.apply(self.max_attempts, what, attempt, now)?;
        Ok(next.is_ok().then_some(Write {
            what,
            attempt,
            now,
            is_current: true,
            is_overtaken,
            commit_of: u8::try_from(sender).unwrap_or(NOBODY),
            computed_from: self.has(Flaw::NoCondition).then_some(world.run),
        }))
    }

    /// A request on its way: it may take effect without its sender hearing of it.
    fn request(
        &self,
        waiting: &World,
        write: Write,
        acts: &impl Fn(Act) -> Action,
        steps: &mut Steps<Self>,
        still: impl Fn(&mut World, Write),
    ) {
        if !write.is_current || self.is_barred(waiting, write) {
            return;
        }
        let landed = self.land(waiting, write).map(|mut next| {
            let unanswered = Write {
                is_current: false,
                is_overtaken: write.was_overtaken_before_it_landed(),
                attempt: if write.attempt == next.run.attempt {
                    write.attempt
                } else {
                    0
                },
                ..write
            };
            still(&mut next, unanswered);
            next
        });
        steps.push((acts(Act::AnswerIsLost), landed));
    }

    /// What the sender is told: that its write took effect, now or before; or that the run has changed since, so that
    /// it applies its event again to what the run is now.
    fn answers(
        &self,
        waiting: &World,
        write: Write,
        acts: &impl Fn(Act) -> Action,
        steps: &mut Steps<Self>,
        told: impl Fn(World, Answered, &mut Vec<Result<World, Broken>>),
    ) {
        let mut into = Vec::new();
        let landed = || Answered::Committed {
            is_overtaken: write.was_overtaken_before_it_landed(),
        };
        if self.is_barred(waiting, write) {
            told(*waiting, Answered::Rejected, &mut into);
            steps.extend(into.into_iter().map(|next| (acts(Act::IsRefused), next)));
            return;
        }
        if write.is_current {
            match self.land(waiting, write) {
                Ok(next) => told(next, landed(), &mut into),
                Err(broken) => into.push(Err(broken)),
            }
            steps.extend(into.into_iter().map(|next| (acts(Act::IsAnswered), next)));
            return;
        }
        if waiting.run.commits & bit(write.commit_of) != 0 {
            let is_overtaken = write.is_overtaken;
            told(*waiting, Answered::Committed { is_overtaken }, &mut into);
        } else {
            // Should it be possible still, computing it anew and sending it is as good as one step: until it lands,
            // nobody can tell.
            let anew = if self.has(Flaw::NoFence) {
                waiting.run.attempt
            } else {
                write.attempt
            };
            match waiting
                .run
                .apply(self.max_attempts, write.what, anew, write.now)
            {
                Err(broken) => into.push(Err(broken)),
                Ok(Err(_)) => told(*waiting, Answered::Rejected, &mut into),
                Ok(Ok(_)) => match self.land(
                    waiting,
                    Write {
                        attempt: anew,
                        ..write
                    },
                ) {
                    Ok(next) => told(next, landed(), &mut into),
                    Err(broken) => into.push(Err(broken)),
                },
            }
        }
        steps.extend(into.into_iter().map(|next| (acts(Act::IsRefused), next)));
    }

    /// The end of a lease is written only if the lease's item says, then still, that it is over.
    fn is_barred(&self, world: &World, write: Write) -> bool {
        write.what == What::EndLease
            && world.lease > write.now
            && !self.has(Flaw::LeaseEndsWithoutLooking)
            && !self.has(Flaw::SweeperForgetsHeartbeats)
    }

    /// A write takes effect.
    fn land(&self, world: &World, write: Write) -> Result<World, Broken> {
        let next = self
            .apply_as(world, write)?
            .ok_or(Broken("a write that was possible is not"))?;
        Ok(next)
    }

    fn apply(
        &self,
        world: &World,
        what: What,
        attempt: u8,
        now: Ticks,
    ) -> Result<Option<World>, Broken> {
        self.apply_as(
            world,
            Write {
                what,
                attempt,
                now,
                is_current: true,
                is_overtaken: false,
                commit_of: NOBODY,
                computed_from: None,
            },
        )
    }

    /// The same with a write that is still under way, although its sender waits no more: one at a time.
    fn late(&self, world: &World, write: Write) -> Option<World> {
        (self.late && write.is_current && world.late_write.is_none()).then_some(World {
            late_write: Some(write),
            ..*world
        })
    }

    fn apply_as(&self, world: &World, write: Write) -> Result<Option<World>, Broken> {
        let Write {
            what, attempt, now, ..
        } = write;
        if world.run.has_ended() {
            return Err(Broken("a finished run is written to"));
        }
        let from = write.computed_from.unwrap_or(world.run);
        let Ok(run) = from.apply(self.max_attempts, what, attempt, now)? else {
            return Ok(None);
        };
        if write.is_overtaken && write.is_a_workers() {
            return Err(Broken(
                "a write of a worker that was overtaken takes effect",
            ));
        }
        let clocks_differ_by = self.skew.max(self.sweeper_skew);
        let is_early = |worker: &Worker| matches!(worker, Worker::Holding(holding) if !holding.is_overtaken && holding.lease_left > clocks_differ_by);
        if what == What::EndLease && world.workers.iter().any(is_early) {
            return Err(Broken(ENDED_EARLY));
        }
        let mut next = *world;
        next.run = run;
        next.run.commits |= bit(write.commit_of);
        next.has_changed(what == What::Claim);
        Ok(Some(next))
    }

    /// Holds a state to the promises, and takes out of it what makes no difference.
    fn checked(&self, mut world: World) -> Result<World, Broken> {
        if world.run.has_ended() {
            // Nothing changes it any more: that is tried here, and then nobody's work on it matters.
            for what in ALL {
                for attempt in 0..=2 {
                    if world
                        .run
                        .apply(self.max_attempts, what, attempt, self.skew)?
                        .is_ok()
                    {
                        return Err(Broken("a finished run has changed"));
                    }
                }
            }
            world.run.commits = 0;
            return Ok(World {
                run: world.run,
                is_swept: world.is_swept,
                ..self.first()
            });
        }
        let mut holders = 0;
        for worker in &mut world.workers {
            let Worker::Holding(holding) = worker else {
                continue;
            };
            if holding.is_overtaken {
                // Whatever it wants to write is refused, wherever it was. While it waits for that, it acts no more if
                // it was on its way out.
                if holding.write.is_some_and(|write| write.ends_the_work()) {
                    *worker = Worker::Idle;
                    continue;
                }
                holding.stage = Stage::Claimed;
                if !self.has(Flaw::NoFence) {
                    holding.write = None;
                }
                if !self.has(Flaw::LeaseItemOutlivesLease) {
                    holding.heartbeat = None;
                }
            }
            if holding.is_overtaken == (holding.attempt == world.run.attempt) {
                return Err(Broken(
                    "a worker and the run disagree on whose attempt it is",
                ));
            }
            holders += u8::from(!holding.is_overtaken);
            if holding.is_overtaken && holding.lease_left > self.skew.max(self.sweeper_skew) {
                return Err(Broken(
                    "a worker believes in its attempt for longer than clocks differ after another one has begun",
                ));
            }
        }
        if holders > 1 {
            return Err(Broken("two workers believe in the same attempt"));
        }
        // A commit id that nobody waits for can go.
        for index in 0..WORKERS + SWEEPERS {
            let waits = match index.checked_sub(WORKERS) {
                Some(sweeper) => world.sweepers[sweeper].is_some(),
                None => match world.workers[index] {
                    Worker::Idle => false,
                    Worker::Claiming { .. } => true,
                    Worker::Holding(holding) => holding.write.is_some(),
                },
            };
            if !waits {
                world = world.with_new_commit_of(index);
            }
        }
        Ok(world.mirrored())
    }
}

const ALL: [What; 12] = [
    What::Claim,
    What::Enter,
    What::Ask,
    What::Answer,
    What::Complete,
    What::GoOnUnanswered,
    What::GiveBack,
    What::EndLease,
    What::ExpireQuestion,
    What::PassWorkDeadline,
    What::PassQueueDeadline,
    What::Cancel,
];

fn bit(commit_of: u8) -> u8 {
    if commit_of == NOBODY {
        0
    } else {
        1 << commit_of
    }
}

impl Write {
    /// Whether only the worker that has the run may write it.
    fn is_a_workers(&self) -> bool {
        match self.what {
            What::Enter | What::Ask | What::Complete | What::GoOnUnanswered | What::GiveBack => {
                true
            }
            What::Claim
            | What::Answer
            | What::EndLease
            | What::ExpireQuestion
            | What::PassWorkDeadline
            | What::PassQueueDeadline
            | What::Cancel => false,
        }
    }

    /// A claim that lands is the newest one, whatever was claimed while it was under way.
    fn was_overtaken_before_it_landed(&self) -> bool {
        self.is_overtaken && self.what != What::Claim
    }

    /// Whether a worker that writes it has stopped to act.
    fn ends_the_work(&self) -> bool {
        !matches!(
            self.what,
            What::Claim | What::Enter | What::Ask | What::GoOnUnanswered
        )
    }

    /// `false` if it is under way for too long.
    fn grows_older(&mut self) -> bool {
        self.now -= 1;
        self.now >= OLDEST
    }
}

trait Older {
    fn filter_map_older(self) -> Self;
}

impl Older for Option<Write> {
    fn filter_map_older(mut self) -> Self {
        self.take_if(|write| !write.grows_older());
        self
    }
}

impl World {
    /// Whether an earlier worker believes in its attempt although another one has begun.
    pub(crate) fn has_two_believers(&self) -> bool {
        self.workers.iter().any(|worker| {
            matches!(worker, Worker::Holding(holding) if holding.is_overtaken && holding.lease_left > 0)
        })
    }

    /// The run has changed: whatever was computed from it before can't be written as it is any more.
    fn has_changed(&mut self, is_claimed: bool) {
        let attempt = self.run.attempt;
        let overtaken = |write: &mut Write| {
            write.is_current &= write.computed_from.is_some();
            write.is_overtaken |= is_claimed;
            if write.attempt != attempt {
                write.attempt = 0;
            }
        };
        for worker in &mut self.workers {
            match worker {
                Worker::Idle => {}
                Worker::Claiming { write, .. } => overtaken(write),
                Worker::Holding(holding) => {
                    if is_claimed {
                        holding.is_overtaken = true;
                    }
                    if holding.attempt != attempt {
                        holding.attempt = 0;
                    }
                    if let Some(write) = &mut holding.write {
                        overtaken(write);
                    }
                }
            }
        }
        for write in self.sweepers.iter_mut().flatten() {
            overtaken(write);
        }
        // Nobody would apply it again.
        self.late_write = None;
        if is_claimed {
            self.lease = 0;
        }
        if is_claimed || matches!(self.run.place, Place::Ready { .. }) {
            self.late_heartbeat = None;
        }
    }

    /// Somebody's commit id until now is nobody's any more.
    fn with_new_commit_of(mut self, index: usize) -> Self {
        let index = u8::try_from(index).unwrap_or(NOBODY);
        self.run.commits &= !bit(index);
        if let Some(write) = &mut self.late_write
            && write.commit_of == index
        {
            write.commit_of = NOBODY;
        }
        self
    }

    /// Which of the workers is which makes no difference.
    fn mirrored(self) -> Self {
        if self.workers[0] <= self.workers[1] {
            return self;
        }
        let mut world = self;
        world.workers.swap(0, 1);
        let swap = |index: u8| match index {
            0 => 1,
            1 => 0,
            other => other,
        };
        for (index, worker) in world.workers.iter_mut().enumerate() {
            let index = u8::try_from(index).unwrap_or(NOBODY);
            match worker {
                Worker::Claiming { write, .. } => write.commit_of = index,
                Worker::Holding(Holding {
                    write: Some(write), ..
                }) => write.commit_of = index,
                Worker::Idle | Worker::Holding(_) => {}
            }
        }
        if let Some(write) = &mut world.late_write {
            write.commit_of = swap(write.commit_of);
        }
        let commits = self.run.commits;
        world.run.commits = (commits & !3) | ((commits & 1) << 1) | ((commits & 2) >> 1);
        world
    }
}
