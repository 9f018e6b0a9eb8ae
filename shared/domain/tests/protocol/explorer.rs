//! Goes through every state that a model can be in, breadth first, so that what it finds comes with a shortest way to
//! it. It knows nothing of runs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A promise that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// What is explored.
pub(crate) trait Model {
    /// Everything that decides what can happen next.
    type State: Copy + Eq + Hash + Debug;
    /// What happened from one state to the next.
    type Action: Copy + Debug;

    /// Where it begins.
    fn first(&self) -> Self::State;
    /// Everything that can happen next; a step that breaks a promise leads nowhere.
    fn steps(&self, state: &Self::State, into: &mut Steps<Self>);
    /// Whether time passes in this step.
    fn takes_time(action: Self::Action) -> bool;
    /// Whether everything is done; nothing is explored from there.
    fn is_over(state: &Self::State) -> bool;
}

pub(crate) type Steps<M> = Vec<(<M as Model>::Action, Result<<M as Model>::State, Broken>)>;

/// Why a model is not as it should be, with the way there.
#[derive(Debug)]
pub(crate) struct Counterexample<M: Model> {
    pub(crate) broken: Broken,
    pub(crate) way: Vec<(M::Action, M::State)>,
}

impl<M: Model> std::fmt::Display for Counterexample<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}, after", self.broken.0)?;
        for (action, state) in &self.way {
            writeln!(f, "  {action:?}\n      {state:?}")?;
        }
        Ok(())
    }
}

/// What was explored.
#[derive(Debug)]
pub(crate) struct Explored<M: Model> {
    pub(crate) states: Vec<M::State>,
    /// The longest time, in steps that take time, from the beginning until everything is done.
    pub(crate) longest: u32,
}

/// That nothing can happen any more although not everything is done.
pub(crate) const STUCK: Broken = Broken("nothing can happen any more, and not everything is done");
/// That time can pass for ever.
pub(crate) const ENDLESS: Broken = Broken("it can go on for ever");

/// Explores everything.
pub(crate) fn explore<M: Model>(model: &M) -> Result<Explored<M>, Box<Counterexample<M>>> {
    let mut graph = Graph::<M> {
        states: vec![model.first()],
        reached_by: vec![None],
        edges: Vec::new(),
    };
    let mut known: HashMap<M::State, usize, BuildHasherDefault<Quick>> = HashMap::default();
    known.insert(model.first(), 0);
    let mut steps = Vec::new();
    let mut at = 0;
    while at < graph.states.len() {
        let state = graph.states[at];
        let mut edges = Vec::new();
        if !M::is_over(&state) {
            model.steps(&state, &mut steps);
            if steps.is_empty() {
                return Err(graph.counterexample(STUCK, at, None));
            }
            for (action, next) in steps.drain(..) {
                let next = match next {
                    Ok(next) => next,
                    Err(broken) => return Err(graph.counterexample(broken, at, Some(action))),
                };
                let to = match known.entry(next) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        graph.states.push(next);
                        graph.reached_by.push(Some((at, action)));
                        *entry.insert(graph.states.len() - 1)
                    }
                };
                edges.push((to, M::takes_time(action)));
            }
            edges.sort_unstable();
            edges.dedup();
        }
        graph.edges.push(edges);
        at += 1;
    }
    drop(known);
    let longest = graph.longest()?;
    Ok(Explored {
        states: graph.states,
        longest,
    })
}

/// Multiplies and rotates: nobody attacks this table, and the standard hash takes most of the time of a test that is not
/// optimized.
#[derive(Default)]
pub(crate) struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_i8(&mut self, number: i8) {
        self.write_u64(u64::from(number.cast_unsigned()));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(7) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

struct Graph<M: Model> {
    states: Vec<M::State>,
    reached_by: Vec<Option<(usize, M::Action)>>,
    edges: Vec<Vec<(usize, bool)>>,
}

impl<M: Model> Graph<M> {
    fn counterexample(
        &self,
        broken: Broken,
        at: usize,
        last: Option<M::Action>,
    ) -> Box<Counterexample<M>> {
        let mut way = Vec::new();
        let mut here = at;
        while let Some((from, action)) = self.reached_by[here] {
            way.push((action, self.states[here]));
            here = from;
        }
        way.reverse();
        if let Some(action) = last {
            way.push((action, self.states[at]));
        }
        Box::new(Counterexample { broken, way })
    }

    /// The longest time from the beginning to the end. There is none if time passes on a way that leads back to where
    /// it began: then somebody could go round for ever. Ways that lead back without time passing are retries.
    ///
    /// Tarjan's algorithm, without recursion: a group of states that lead to each other is complete only after all
    /// groups that it leads to, so that their times are known by then.
    fn longest(&self) -> Result<u32, Box<Counterexample<M>>> {
        const UNSEEN: usize = usize::MAX;
        let count = self.states.len();
        let mut order = vec![UNSEEN; count];
        let mut low = vec![0_usize; count];
        let mut group = vec![UNSEEN; count];
        let mut time_of_group: Vec<u32> = Vec::new();
        let mut open = vec![0_usize];
        let mut calls = vec![(0_usize, 0_usize)];
        let mut seen = 1;
        order[0] = 0;
        while let Some((at, edge)) = calls.last_mut() {
            let at = *at;
            if let Some((to, _)) = self.edges[at].get(*edge) {
                *edge += 1;
                if order[*to] == UNSEEN {
                    order[*to] = seen;
                    low[*to] = seen;
                    seen += 1;
                    open.push(*to);
                    calls.push((*to, 0));
                } else if group[*to] == UNSEEN {
                    low[at] = low[at].min(order[*to]);
                }
                continue;
            }
            calls.pop();
            if let Some((caller, _)) = calls.last() {
                low[*caller] = low[*caller].min(low[at]);
            }
            if low[at] != order[at] {
                continue;
            }
            let first = open.iter().rposition(|state| *state == at).unwrap_or(0);
            let members = open.split_off(first);
            for member in &members {
                group[*member] = time_of_group.len();
            }
            let mut longest = 0;
            for member in members {
                for (to, takes_time) in &self.edges[member] {
                    if group[*to] != time_of_group.len() {
                        longest = longest.max(time_of_group[group[*to]] + u32::from(*takes_time));
                    } else if *takes_time {
                        return Err(self.counterexample(ENDLESS, member, None));
                    }
                }
            }
            time_of_group.push(longest);
        }
        Ok(time_of_group.last().copied().unwrap_or_default())
    }
}
