//! One run: requests at once, in one order of their calls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::endpoint::{Introspection, TokenResponse};
use crate::error::Error;
use crate::store::TokenStore;
use crate::testing::Method;
use crate::testing::contract::{Violation, unmade};

use super::choices::Choices;
use super::scene::{Ask, Scene};
use super::schedule::{Step, Trouble};
use super::stage::Call;

/// What a request came to.
pub(super) enum Answer {
    Tokens(Result<TokenResponse, Error>),
    Revoked(Result<bool, Error>),
    Introspected(Result<Introspection, Error>),
    Purged(Result<usize, Error>),
    Dropped,
}

/// A run as it was.
pub(super) struct Played {
    pub(super) asks: Vec<Ask>,
    pub(super) answers: Vec<Answer>,
    pub(super) steps: Vec<Step>,
}

/// How a run may go.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Something goes wrong with one call at most.
    pub(super) trouble: bool,
    /// A call that answers `Pending` lets others go on.
    pub(super) overlap: bool,
}

type Request<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Requests of which each is waiting, in the middle of a call, or done.
struct Players<'a, S> {
    scene: &'a Scene<S>,
    requests: Vec<Option<Request<'a>>>,
    answers: Vec<Answer>,
    overlap: bool,
}

pub(super) async fn play<S: TokenStore>(
    scene: &Scene<S>,
    asks: &[Ask],
    rules: Rules,
    choices: &mut Choices,
) -> Result<Played, Violation> {
    scene.stage.close(asks.len());
    let mut players = Players::new(scene, asks, rules.overlap);
    for request in 0..asks.len() {
        players.go_on(request).await;
    }
    let mut steps: Vec<Step> = Vec::new();
    loop {
        let ready = players.running();
        if ready.is_empty() {
            break;
        }
        let Some(&request) = ready.get(choices.pick(ready.len())) else { break };
        let Some(call) = scene.stage.waits_for(request) else {
            players.go_on(request).await;
            continue;
        };
        let mut trouble = None;
        if rules.trouble && steps.iter().all(|step| step.trouble.is_none()) {
            let possible = possible_trouble(scene, call);
            let lot = choices.pick_rarely(possible.len() + 1);
            trouble = lot.checked_sub(1).and_then(|at| possible.get(at)).copied();
        }
        steps.push(Step { request, method: call.method, trouble });
        match trouble {
            Some(Trouble::DroppedBefore) => players.drop_request(request),
            Some(Trouble::WentBack) => {
                scene.stage.go_back(&*scene.store).await.map_err(unmade)?;
                players.call(request, trouble).await;
            }
            _ => players.call(request, trouble).await,
        }
    }
    scene.stage.open();
    Ok(Played { asks: asks.to_vec(), answers: players.answers, steps })
}

/// What can go wrong with a call.
fn possible_trouble<S: TokenStore>(scene: &Scene<S>, call: Call) -> Vec<Trouble> {
    let mut possible = vec![Trouble::Failed, Trouble::DroppedBefore];
    let is_write = matches!(call.method, Method::Insert | Method::Replace | Method::Remove);
    if is_write {
        possible.extend([Trouble::AnswerLost, Trouble::SentTwice, Trouble::DroppedAfter]);
    }
    if call.recent.is_some_and(|id| scene.stage.has_version_before(id)) {
        possible.push(Trouble::Late);
    }
    if scene.stage.has_written() {
        possible.push(Trouble::WentBack);
    }
    possible
}

impl<'a, S: TokenStore> Players<'a, S> {
    fn new(scene: &'a Scene<S>, asks: &[Ask], overlap: bool) -> Self {
        let requests = asks.iter().enumerate().map(|(number, ask)| Some(request(scene, *ask, number)));
        let answers = asks.iter().map(|_| Answer::Dropped).collect();
        Self { scene, requests: requests.collect(), answers, overlap }
    }

    fn running(&self) -> Vec<usize> {
        let running = self.requests.iter().enumerate().filter(|(_, request)| request.is_some());
        running.map(|(number, _)| number).collect()
    }

    async fn call(&mut self, request: usize, trouble: Option<Trouble>) {
        self.scene.stage.give_turn(trouble);
        self.go_on(request).await;
    }

    /// Polls the request until it waits for a turn, or is done.
    async fn go_on(&mut self, request: usize) {
        poll_fn(|context| self.poll(request, context)).await;
    }

    fn poll(&mut self, number: usize, context: &mut Context<'_>) -> Poll<()> {
        let stage = &self.scene.stage;
        stage.speaks(number);
        let Some(slot) = self.requests.get_mut(number) else { return Poll::Ready(()) };
        let Some(request) = slot else { return Poll::Ready(()) };
        if let Poll::Ready(answer) = request.as_mut().poll(context) {
            *slot = None;
            if let Some(kept) = self.answers.get_mut(number) {
                *kept = answer;
            }
            return Poll::Ready(());
        }
        if stage.is_dropped(number) {
            *slot = None;
            return Poll::Ready(());
        }
        if self.overlap || stage.waits_for(number).is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn drop_request(&mut self, number: usize) {
        self.scene.stage.leaves(number);
        if let Some(slot) = self.requests.get_mut(number) {
            *slot = None;
        }
    }
}

fn request<S: TokenStore>(scene: &Scene<S>, ask: Ask, number: usize) -> Request<'_> {
    let node = scene.node(number);
    Box::pin(async move {
        match ask {
            Ask::RevokeAccess => Answer::Revoked(node.revoke(scene.access()).await),
            Ask::RevokeRefresh => Answer::Revoked(node.revoke(scene.refresh_token()).await),
            Ask::Introspect => Answer::Introspected(node.introspect(scene.access()).await),
            Ask::Purge => Answer::Purged(node.purge_expired(10).await),
            _ => Answer::Tokens(node.token(&scene.token_request(ask)).await),
        }
    })
}
