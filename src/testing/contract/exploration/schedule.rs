//! What happened in a run, for people and for a debugger.

use std::fmt;

use crate::testing::Method;

/// What went wrong at one call, made so by the exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// The call failed and did nothing.
    Failed,
    /// The call was made, and its answer was lost.
    AnswerLost,
    /// The call was made twice, and the second answer arrived.
    SentTwice,
    /// A [`Read::Recent`](crate::store::Read::Recent) gave the version before.
    Late,
    /// Before the call, the store lost the last write that it had acknowledged.
    WentBack,
    /// The request was dropped before the call.
    DroppedBefore,
    /// The request was dropped after the call, before its answer.
    DroppedAfter,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::AnswerLost => "made, its answer lost",
            Self::SentTwice => "sent twice",
            Self::Late => "answered with the version before",
            Self::WentBack => "after the store had lost its last write",
            Self::DroppedBefore => "request dropped before it",
            Self::DroppedAfter => "request dropped after it",
        })
    }
}

/// One call of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which request made it: a number below that of [`Schedule::requests`].
    pub request: usize,
    /// What it called.
    pub method: Method,
    /// What went wrong with it.
    pub trouble: Option<Trouble>,
}

/// The order in which the calls of several requests reached the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// What there was before, and which clocks differed. For people.
    pub opening: String,
    /// The requests that were made at once.
    pub requests: Vec<&'static str>,
    /// Their calls, in order.
    pub steps: Vec<Step>,
    /// What each request was answered. For people.
    pub answers: Vec<String>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    {}", self.opening)?;
        for (number, (request, answer)) in self.requests.iter().zip(&self.answers).enumerate() {
            write!(f, "\n    request {number}: {request} → {answer}")?;
        }
        for (at, step) in self.steps.iter().enumerate() {
            write!(f, "\n    {:>2}. request {}: {}", at + 1, step.request, step.method)?;
            step.trouble.iter().try_for_each(|trouble| write!(f, " ({trouble})"))?;
        }
        Ok(())
    }
}
