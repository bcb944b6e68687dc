//! What the server relies on in a store, and in a limit on attempts, as checks that any can be put to.
//!
//! Each function makes fresh stores with what it is given, calls them, one call at a time and
//! several at once, and answers with all the rules that were broken. It needs no
//! runtime of its own and may run in any. A call that never answers is not found out: give
//! the test a time limit.
//!
//! ```
//! # use grantor::store::TokenStore;
//! use grantor::testing::{LatencyStore, block_on, contract};
//! # fn example<MyStore: TokenStore + Default>() -> Result<(), contract::Violations> {
//!
//! block_on(contract::token_store(async || MyStore::default()))?;
//! // A store in memory hides races that come out once its calls take time.
//! block_on(contract::token_store(async || LatencyStore::new(MyStore::default())))?;
//! # Ok(())
//! # }
//! ```

mod attempts;
mod clients;
mod exploration;
#[cfg(test)]
pub(super) mod tests;
mod threads;
mod token_store;
mod users;

use std::error::Error as StdError;
use std::fmt;

use crate::store::StoreError;

pub use attempts::attempt_limiter;
pub use clients::{client_registry, client_store};
pub use exploration::{Exploration, Explored, Schedule, Step, Trouble, growth};
pub use threads::on_threads;
pub use token_store::token_store;
pub use users::{user_registry, user_store};

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The short name of the rule; it stays the same from release to release.
    pub rule: &'static str,
    /// What was done, and what should have been. For people.
    pub detail: String,
    /// The run that broke it, if requests were made at once; see [`Exploration`].
    pub schedule: Option<Box<Schedule>>,
}

impl Violation {
    fn with(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(Box::new(schedule));
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)?;
        self.schedule.iter().try_for_each(|schedule| write!(f, "\n{schedule}"))
    }
}

/// All the rules that were broken, at least one. Displayed one a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// One violation for each rule that was broken.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// The names of the rules that were broken.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|violation| violation.rule)
    }

    fn one(violation: Violation) -> Self {
        Self(vec![violation])
    }

    fn or_none(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() { Ok(()) } else { Err(Self(violations)) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = if self.0.len() == 1 { "rule of the contract is" } else { "rules of the contract are" };
        write!(f, "{} {rules} broken", self.0.len())?;
        self.0.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// The same as `Display`: it is what `unwrap` and a failing test print.
impl fmt::Debug for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Violations {}

/// What one check comes to. It stops at the first thing that is wrong.
type Checked<T = ()> = Result<T, Violation>;

/// The rule that is being checked.
#[derive(Clone, Copy)]
pub(super) struct Rule(pub(super) &'static str);

impl Rule {
    pub(super) fn broken(self, detail: String) -> Violation {
        Violation { rule: self.0, detail, schedule: None }
    }

    fn ensure(self, held: bool, detail: impl FnOnce() -> String) -> Checked {
        if held { Ok(()) } else { Err(self.broken(detail())) }
    }

    fn same<T: PartialEq + fmt::Debug>(self, what: impl fmt::Display, got: &T, wanted: &T) -> Checked {
        self.ensure(got == wanted, || format!("{what}: got {got:?}, not {wanted:?}"))
    }

    /// No rule allows a failure: faults are for wrappers to bring in.
    fn answer<T>(self, what: &str, answer: Result<T, StoreError>) -> Checked<T> {
        answer.map_err(|error| {
            let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
            self.broken(format!("{what} failed: {error}{cause}"))
        })
    }
}

/// For samples that break the rules of the types they are made of: a defect in here.
pub(super) fn unmade(why: impl fmt::Display) -> Violation {
    Rule("samples").broken(format!("a sample could not be made: {why}"))
}

/// What is under check.
struct Probe<S> {
    store: S,
    rule: Rule,
}

/// Runs each check on a store of its own. A rule is called what its check is called.
macro_rules! check_each {
    ($new_store:expr; $($module:ident: $($rule:ident)+;)+) => {{
        let mut violations = Vec::new();
        $($(
            let probe = Probe { store: $new_store.await, rule: Rule(stringify!($rule)) };
            violations.extend($module::$rule(&probe).await.err());
        )+)+
        Violations::or_none(violations)
    }};
}

use check_each;
