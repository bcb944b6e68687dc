//! Requests at once, in every order of their calls to the store.

mod choices;
mod growth;
mod play;
mod scene;
mod schedule;
mod stage;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::TokenStore;

use super::{Violation, Violations};
use choices::Choices;
use play::{Played, Rules, play};
use scene::{Ask, Company, Opening, Scene};
use verdict::Verdict;

pub use growth::growth;
pub use schedule::{Schedule, Step, Trouble};

/// Which runs [`run`](Self::run) makes.
///
/// A run opens with one grant in a store that is empty otherwise, and makes two or three
/// requests about it at once: exchange, refresh, revoke, introspect, purge, by the client and
/// by another. In front of each call to the store a request waits for its turn; which one goes
/// on is what the runs differ in. Requests go to one server, or in turns to two whose clocks
/// are three seconds apart.
///
/// After each run these rules are checked:
///
/// | rule | what it says |
/// |---|---|
/// | `protocol_single_use` | a code gives tokens once |
/// | `protocol_one_successor` | a refresh token is replaced by one other, however often it is sent |
/// | `protocol_limit` | a refresh token is not used more often than it may be |
/// | `protocol_replay` | who begins with a spent code ends the grant; who lost a race for it does not |
/// | `protocol_ends` | once a request has said that a grant is revoked, replayed or reused, none of its tokens is active |
/// | `protocol_stays` | until then, every token that was handed out is active |
/// | `protocol_login` | an honest client is never logged out by what goes wrong on this side |
/// | `protocol_answers` | no request fails because of another, and no stranger is served |
/// | `protocol_records` | a refusal leaves no record behind, and none outlives its tokens |
///
/// ```
/// use grantor::store::MemoryTokenStore;
/// use grantor::testing::block_on;
/// use grantor::testing::contract::Exploration;
///
/// let explored = block_on(Exploration::pairs().run(async || MemoryTokenStore::new()))?;
/// println!("{} runs, {} calls", explored.runs, explored.calls);
/// # Ok::<(), grantor::testing::contract::Violations>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Exploration {
    triples: bool,
    trouble: bool,
    trouble_in_triples: bool,
    overlap: bool,
    sample: Option<(usize, u64)>,
}

/// How much was explored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// Runs, each on a store of its own.
    pub runs: usize,
    /// Calls of the requests, over all runs.
    pub calls: usize,
}

/// How far the second server's clock is from the first's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skew {
    None,
    Ahead,
    Behind,
}

impl Exploration {
    /// All orders of all pairs of requests, and nothing goes wrong.
    pub const fn pairs() -> Self {
        Self { triples: false, trouble: false, trouble_in_triples: false, overlap: false, sample: None }
    }

    /// All orders of all pairs, with nothing going wrong and with each [`Trouble`] at each
    /// call, and all orders of all triples.
    ///
    /// About 400,000 runs: for a store in memory.
    pub const fn exhaustive() -> Self {
        Self { triples: true, trouble: true, ..Self::pairs() }
    }

    /// Each trouble at each call of each triple, too. Millions of runs.
    pub const fn trouble_in_triples(mut self) -> Self {
        self.triples = true;
        self.trouble_in_triples = true;
        self
    }

    /// And so many runs by lot, of pairs and triples with and without trouble: for a store
    /// whose calls take long. The same `seed` gives the same runs.
    pub const fn sample(mut self, runs: usize, seed: u64) -> Self {
        self.sample = Some((runs, seed));
        self
    }

    /// A call that answers `Pending` lets the other requests go on, and is polled again without
    /// having woken anyone: for stores that yield of their own accord, such as
    /// [`LatencyStore`](crate::testing::LatencyStore) around one in memory.
    pub const fn overlapping_calls(mut self) -> Self {
        self.overlap = true;
        self
    }

    /// Makes the runs. `new_store` gives an empty store at each call, with room for ten
    /// grants; it may be one and the same, which each run leaves as it found it.
    ///
    /// # Errors
    /// The first run that broke each rule, with its [`Schedule`].
    pub async fn run<S: TokenStore>(&self, new_store: impl AsyncFn() -> S) -> Result<Explored, Violations> {
        let company = Company::new().map_err(Violations::one)?;
        let mut tour = Tour { company, new_store, explored: Explored::default(), violations: Vec::new() };
        for opening in Opening::ALL {
            for skew in Skew::ALL {
                for asks in requests(opening.asks(), 2, skew) {
                    tour.exhaust(opening, skew, &asks, self.rules(false)).await;
                    if self.trouble {
                        tour.exhaust(opening, skew, &asks, self.rules(true)).await;
                    }
                }
                if self.triples {
                    for asks in requests(opening.asks(), 3, skew) {
                        tour.exhaust(opening, skew, &asks, self.rules(self.trouble_in_triples)).await;
                    }
                }
            }
        }
        if let Some((runs, seed)) = self.sample {
            tour.sample(runs, seed, self.overlap).await;
        }
        Violations::or_none(tour.violations).map(|()| tour.explored)
    }

    const fn rules(&self, trouble: bool) -> Rules {
        Rules { trouble, overlap: self.overlap }
    }
}

/// An exploration under way.
struct Tour<F> {
    company: Company,
    new_store: F,
    explored: Explored,
    violations: Vec<Violation>,
}

impl<S: TokenStore, F: AsyncFn() -> S> Tour<F> {
    /// All runs of these requests, up to the first that breaks a rule.
    async fn exhaust(&mut self, opening: Opening, skew: Skew, asks: &[Ask], rules: Rules) {
        let mut choices = Choices::all();
        while self.run(opening, skew, asks, rules, &mut choices).await && choices.turn() {}
    }

    async fn sample(&mut self, runs: usize, seed: u64, overlap: bool) {
        let mut choices = Choices::some(seed);
        for _ in 0..runs {
            let Some(opening) = Opening::ALL.get(choices.pick(Opening::ALL.len())) else { continue };
            let Some(skew) = Skew::ALL.get(choices.pick(Skew::ALL.len())) else { continue };
            let all = opening.asks();
            let count = 2 + choices.pick(2);
            let asks: Vec<_> = (0..count).filter_map(|_| all.get(choices.pick(all.len()))).copied().collect();
            self.run(*opening, *skew, &asks, Rules { trouble: true, overlap }, &mut choices).await;
        }
    }

    /// One run; false if it broke a rule.
    async fn run(
        &mut self,
        opening: Opening,
        skew: Skew,
        asks: &[Ask],
        rules: Rules,
        choices: &mut Choices,
    ) -> bool {
        let outcome = async {
            let store = (self.new_store)().await;
            let scene = self.company.open(opening, skew, store).await?;
            let played = play(&scene, asks, rules, choices).await?;
            let verdict = Verdict { scene: &scene, played: &played }.check().await;
            let schedule = |violation: Violation| violation.with(schedule(&scene, skew, &played));
            verdict.map(|()| played.steps.len()).map_err(schedule)
        };
        self.explored.runs += 1;
        match outcome.await {
            Ok(calls) => {
                self.explored.calls += calls;
                true
            }
            Err(violation) => {
                if self.violations.iter().all(|known| known.rule != violation.rule) {
                    self.violations.push(violation);
                }
                false
            }
        }
    }
}

impl Skew {
    const ALL: [Self; 3] = [Self::None, Self::Ahead, Self::Behind];
    const DIFFERENCE: Duration = Duration::from_secs(3);

    fn apply(self, time: Timestamp) -> Timestamp {
        match self {
            Self::None => time,
            Self::Ahead => time.plus(Self::DIFFERENCE),
            Self::Behind => time.minus(Self::DIFFERENCE),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Ahead => "; odd requests go to a server whose clock is 3 s ahead",
            Self::Behind => "; odd requests go to a server whose clock is 3 s behind",
        }
    }
}

/// All choices of `count` requests; in each order only where it matters who is on which server.
fn requests(asks: &[Ask], count: usize, skew: Skew) -> Vec<Vec<Ask>> {
    let mut all = vec![(Vec::new(), 0)];
    for _ in 0..count {
        let longer = all.iter().flat_map(|(chosen, from)| {
            let from = if skew == Skew::None { *from } else { 0 };
            let next = asks.iter().enumerate().skip(from);
            next.map(move |(at, ask)| ([chosen.as_slice(), &[*ask]].concat(), at))
        });
        all = longer.collect();
    }
    all.into_iter().map(|(chosen, _)| chosen).collect()
}

fn schedule<S: TokenStore>(scene: &Scene<S>, skew: Skew, played: &Played) -> Schedule {
    Schedule {
        opening: format!("before: {}{}", scene.opening.name(), skew.name()),
        requests: played.asks.iter().map(|ask| ask.name()).collect(),
        steps: played.steps.clone(),
        answers: played.answers.iter().map(play::Answer::describe).collect(),
    }
}
