//! What has to be true after a run, whatever the order of its calls was.

use crate::endpoint::TokenResponse;
use crate::error::{Error, GrantFailure};
use crate::grant::Grant;
use crate::store::{GrantQuery, Read, TokenStore};
use crate::testing::contract::{Checked, Rule};
use crate::testing::samples::BEGIN;

use super::play::{Answer, Played};
use super::scene::{Ask, Opening, Scene};
use super::schedule::Trouble;

const SINGLE_USE: Rule = Rule("protocol_single_use");
const ONE_SUCCESSOR: Rule = Rule("protocol_one_successor");
const LIMIT: Rule = Rule("protocol_limit");
const REPLAY: Rule = Rule("protocol_replay");
const ENDS: Rule = Rule("protocol_ends");
const STAYS: Rule = Rule("protocol_stays");
const LOGIN: Rule = Rule("protocol_login");
const ANSWERS: Rule = Rule("protocol_answers");
const RECORDS: Rule = Rule("protocol_records");

/// Long after the last record of a scene has expired.
const MUCH_LATER: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 3600);

impl Answer {
    fn tokens(&self) -> Option<&TokenResponse> {
        match self {
            Self::Tokens(Ok(tokens)) => Some(tokens),
            _ => None,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::Tokens(answer) => answer.as_ref().err(),
            Self::Revoked(answer) => answer.as_ref().err(),
            Self::Introspected(answer) => answer.as_ref().err(),
            Self::Purged(answer) => answer.as_ref().err(),
            Self::Dropped => None,
        }
    }

    fn failed_with(&self, failure: GrantFailure) -> bool {
        matches!(self.error(), Some(Error::InvalidGrant { reason }) if *reason == failure)
    }

    /// Nobody can tell from it what was done.
    fn is_unknown(&self) -> bool {
        matches!(self, Self::Dropped) || matches!(self.error(), Some(Error::Unavailable { .. }))
    }

    pub(super) fn describe(&self) -> String {
        match (self, self.error()) {
            (_, Some(error)) => error.to_string(),
            (Self::Tokens(_), _) => "tokens".into(),
            (Self::Revoked(Ok(true)), _) => "revoked".into(),
            (Self::Revoked(_), _) => "nothing to revoke".into(),
            (Self::Introspected(Ok(it)), _) if it.is_active() => "active".into(),
            (Self::Introspected(_), _) => "inactive".into(),
            (Self::Purged(count), _) => format!("purged {}", count.as_ref().unwrap_or(&0)),
            (Self::Dropped, _) => "dropped".into(),
        }
    }
}

impl Played {
    fn each(&self) -> impl Iterator<Item = (Ask, &Answer)> {
        self.asks.iter().copied().zip(&self.answers)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.steps.iter().find_map(|step| step.trouble)
    }

    fn went_back(&self) -> bool {
        self.trouble() == Some(Trouble::WentBack)
    }

    fn successes(&self) -> impl Iterator<Item = &TokenResponse> {
        self.answers.iter().filter_map(Answer::tokens)
    }

    fn count(&self, asked: impl Fn(Ask) -> bool) -> usize {
        self.each().filter(|(ask, answer)| asked(*ask) && answer.tokens().is_some()).count()
    }

    /// Did a request say that the grant is gone by it?
    fn has_ended(&self) -> bool {
        self.answers.iter().any(|answer| {
            matches!(answer, Answer::Revoked(Ok(true)))
                || answer.failed_with(GrantFailure::CodeReplayed)
                || answer.failed_with(GrantFailure::RefreshReused)
        })
    }
}

/// A run and its scene, after it.
pub(super) struct Verdict<'a, S> {
    pub(super) scene: &'a Scene<S>,
    pub(super) played: &'a Played,
}

impl<S: TokenStore> Verdict<'_, S> {
    /// The first thing that is wrong. Leaves the store empty.
    pub(super) async fn check(&self) -> Checked {
        self.answers()?;
        self.single_use()?;
        self.one_successor()?;
        self.limit()?;
        self.replay()?;
        self.records().await?;
        self.tokens().await?;
        self.login().await?;
        self.nothing_is_left().await
    }

    /// No request is failed by what others do, and no stranger is served.
    fn answers(&self) -> Checked {
        for (ask, answer) in self.played.each() {
            let name = ask.name();
            if let Some(error @ Error::Server { .. }) = answer.error() {
                return Err(ANSWERS.broken(format!("{name} answers {error}")));
            }
            if let (Some(error @ Error::Unavailable { .. }), None) = (answer.error(), self.played.trouble()) {
                return Err(ANSWERS.broken(format!("{name} answers {error} although nothing failed")));
            }
            ANSWERS
                .ensure(!ask.is_hostile() || answer.tokens().is_none(), || format!("{name} gets tokens"))?;
            let is_gone = matches!(answer, Answer::Introspected(Ok(it)) if !it.is_active());
            ANSWERS.ensure(!is_gone || self.may_have_ended() || self.played.went_back(), || {
                "a live token is said to be inactive".into()
            })?;
            let purged = matches!(answer, Answer::Purged(Ok(1..)));
            ANSWERS.ensure(!purged, || "a record that is live, or was a moment ago, is purged".into())?;
        }
        Ok(())
    }

    fn single_use(&self) -> Checked {
        let redeemed = self.played.count(|ask| ask == Ask::Exchange);
        let most = usize::from(self.scene.opening == Opening::CodeIssued);
        SINGLE_USE.ensure(redeemed <= most || self.played.went_back(), || {
            format!("a code gives tokens {redeemed} times, not {most}")
        })
    }

    /// Whoever presents one refresh token is given one successor.
    fn one_successor(&self) -> Checked {
        let refreshed = self.played.each().filter(|(ask, _)| ask.is_refresh());
        let mut successors: Vec<_> =
            refreshed.filter_map(|(_, answer)| Some(answer.tokens()?.refresh_token()?.expose())).collect();
        successors.dedup();
        ONE_SUCCESSOR.ensure(successors.len() < 2 || self.played.went_back(), || {
            format!("a refresh token has {} successors", successors.len())
        })
    }

    fn limit(&self) -> Checked {
        if self.scene.opening != Opening::Counted || self.played.went_back() {
            return Ok(());
        }
        let uses = self.played.count(Ask::is_refresh);
        LIMIT.ensure(uses <= 1, || format!("a refresh token that may be used once is used {uses} times"))
    }

    /// Who begins with a spent code has it replayed; who raced for it has not.
    fn replay(&self) -> Checked {
        if self.played.went_back() {
            return Ok(());
        }
        for (request, (ask, answer)) in self.played.each().enumerate() {
            if ask != Ask::Exchange || answer.is_unknown() {
                continue;
            }
            let was_spent = self.scene.stage.first_seen(request).map(|grant| !grant.awaits_code());
            let replayed = answer.failed_with(GrantFailure::CodeReplayed);
            let gone = answer.failed_with(GrantFailure::Unknown);
            if was_spent == Some(true) {
                REPLAY.ensure(replayed || gone, || "a code that was spent before is no replay".into())?;
            } else {
                REPLAY.ensure(!replayed, || "a code that was not spent before is a replay".into())?;
            }
        }
        Ok(())
    }

    /// A refusal leaves nothing behind, and what has ended is gone.
    async fn records(&self) -> Checked {
        let records = self.all_records().await?;
        let main = records.iter().filter(|grant| Some(grant.id()) == self.scene.grant).count();
        if self.played.went_back() {
            let must_stay = self.scene.grant.is_some() && !self.may_have_ended();
            return RECORDS
                .ensure(main == 1 || !must_stay, || "a grant is removed because the store went back".into());
        }
        if self.played.has_ended() {
            RECORDS.ensure(main == 0, || "the record of a grant that has ended is there".into())?;
        } else if !self.may_have_ended() && self.scene.grant.is_some() {
            RECORDS.ensure(main == 1, || "the record of a grant is gone".into())?;
        }
        let issued =
            self.played.successes().filter(|tokens| Some(tokens.grant()) != self.scene.grant).count();
        let before = usize::from(self.scene.opening == Opening::WithChildren);
        let unknown = self.played.answers.iter().filter(|answer| answer.is_unknown()).count();
        let others = records.len() - main;
        RECORDS.ensure(others <= issued + before + unknown, || {
            format!("{others} records beside the grant, for {issued} requests that issued one")
        })?;
        RECORDS.ensure(records.iter().all(|grant| grant.expires_at().is_some()), || {
            "a record is kept for ever".into()
        })
    }

    /// Every token that was handed out is active, or none is: on both nodes.
    async fn tokens(&self) -> Checked {
        if self.played.went_back() {
            return Ok(());
        }
        let handed_out = self.played.successes().map(|tokens| tokens.access_token().expose());
        let before = self.scene.access.iter().map(String::as_str);
        for token in before.chain(handed_out) {
            for node in &self.scene.nodes {
                let active = node
                    .introspect(token)
                    .await
                    .map_err(|error| ANSWERS.broken(format!("introspection afterwards: {error}")))?;
                let active = active.is_active();
                if self.played.has_ended() {
                    ENDS.ensure(!active, || "a token is active although its grant has ended".into())?;
                } else if !self.may_have_ended() {
                    STAYS.ensure(active, || "a token that was handed out is not active".into())?;
                }
            }
        }
        Ok(())
    }

    /// An honest client goes on with what it was last given, and nobody after the end.
    async fn login(&self) -> Checked {
        let played = self.played;
        let [node, _] = &self.scene.nodes;
        let went_back = played.went_back() && (played.has_ended() || played.successes().next().is_some());
        let exempt = went_back || (!played.has_ended() && self.may_have_ended());
        if self.scene.opening == Opening::Nothing || self.scene.opening == Opening::Counted || exempt {
            return Ok(());
        }
        let last = played
            .each()
            .filter(|(ask, _)| !ask.is_hostile())
            .filter_map(|(_, answer)| Some(answer.tokens()?.refresh_token()?.expose().to_owned()));
        let last = last.last().or_else(|| self.scene.refresh.clone());
        let answer = match &last {
            Some(token) => node.token(&self.scene.refresh_request(token)).await,
            // No exchange came through: the client tries again.
            None => node.token(&self.scene.token_request(Ask::Exchange)).await,
        };
        match answer {
            Ok(_) if played.has_ended() => Err(ENDS.broken("a grant that has ended gives tokens".into())),
            Err(error) if !played.has_ended() => {
                Err(LOGIN.broken(format!("an honest client is logged out: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Could the grant have ended, as far as anyone can know?
    fn may_have_ended(&self) -> bool {
        let opening = self.scene.opening;
        self.played.has_ended()
            || self.played.each().any(|(ask, answer)| {
                // An exchange whose answer is lost after the commit costs the login, and of a token
                // that was replaced twice nobody saw what became.
                let lost = matches!(ask, Ask::Exchange | Ask::RefreshPrevious);
                (ask.ends(opening) && !answer.is_refused()) || (lost && matches!(answer, Answer::Dropped))
            })
    }

    async fn nothing_is_left(&self) -> Checked {
        let store = &self.scene.store;
        let much_later = BEGIN.plus(MUCH_LATER);
        RECORDS.answer("purge_expired", store.purge_expired(much_later, 1000).await)?;
        let left = self.all_records().await?;
        RECORDS.ensure(left.is_empty(), || "a record outlives all its tokens".into())?;
        let Some(grant) = self.scene.grant else { return Ok(()) };
        let left = RECORDS.answer("load", store.load(grant, Read::Latest).await)?;
        RECORDS.ensure(left.is_none(), || "a record that was purged is there".into())
    }

    async fn all_records(&self) -> Checked<Vec<std::sync::Arc<Grant>>> {
        let query = match &self.scene.subject {
            Some(subject) => GrantQuery::new().of_subject(subject.clone()),
            None => GrantQuery::new(),
        };
        Ok(RECORDS.answer("find", self.scene.store.find(&query).await)?.grants)
    }
}

impl Answer {
    /// The request was decided, and did nothing.
    fn is_refused(&self) -> bool {
        matches!(self, Self::Revoked(Ok(false))) || (self.error().is_some() && !self.is_unknown())
    }
}
