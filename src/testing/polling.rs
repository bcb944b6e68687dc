use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Runs `future` on this thread until it is done.
///
/// For examples and tests. A future that needs the reactor or the timers of a runtime
/// has to run there.
///
/// ```
/// assert_eq!(grantor::testing::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal { woken: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // What is polled may park this thread, too, and take the wake-up for its own.
        while !signal.woken.swap(false, Ordering::SeqCst) {
            thread::park();
        }
    }
}

struct Signal {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Lets others have a turn: answers `Pending` so many times and wakes itself each time.
pub async fn yield_for(polls: usize) {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls `future` at most `polls` times and then drops it, as a server does with the
/// request of a client that hung up. `None` if it was dropped.
///
/// It does not wait to be woken, so it also ends with a future that never answers.
///
/// ```
/// use grantor::testing::{block_on, drop_after, yield_for};
///
/// assert_eq!(block_on(drop_after(2, yield_for(2))), None);
/// assert_eq!(block_on(drop_after(3, yield_for(2))), Some(()));
/// ```
pub async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        yield_for(usize::from(poll > 0)).await;
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(output);
        }
    }
    None
}

/// Runs all `futures` at once within this task, in turns, and gives their outputs in
/// the same order.
///
/// ```
/// use grantor::testing::{block_on, join_all};
///
/// assert_eq!(block_on(join_all((0..3).map(|n| async move { n * n }))), [0, 1, 4]);
/// ```
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut slots: Vec<_> = futures.into_iter().map(|future| Slot::Running(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut running = false;
        for slot in &mut slots {
            running |= slot.is_running_after(context);
        }
        if running { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(Slot::output).collect()
}

enum Slot<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Slot<F> {
    /// Gives the future a turn; true if it needs more.
    fn is_running_after(&mut self, context: &mut Context<'_>) -> bool {
        let Self::Running(future) = self else { return false };
        let Poll::Ready(output) = future.as_mut().poll(context) else { return true };
        *self = Self::Done(output);
        false
    }

    fn output(self) -> Option<F::Output> {
        match self {
            Self::Running(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crate::sync::Mutex;

    use super::*;

    #[test]
    fn block_on_waits_for_a_wake_from_another_thread() {
        let (send, receive) = mpsc::channel::<Waker>();
        let helper = thread::spawn(move || receive.recv().unwrap().wake());
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            send.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        helper.join().unwrap();
        assert_eq!(polls, 2);
    }

    #[test]
    fn joined_futures_take_turns() {
        let order = Mutex::new(Vec::new());
        let twice = async |name| {
            for _ in 0..2 {
                order.lock().push(name);
                yield_for(1).await;
            }
            name
        };
        let outputs = block_on(join_all(["a", "b"].map(twice)));
        assert_eq!((outputs, order.into_inner()), (vec!["a", "b"], vec!["a", "b", "a", "b"]));
    }

    #[test]
    fn a_dropped_future_is_dropped_at_once_and_one_that_hangs_ends() {
        let mut polls = 0;
        let hanging = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!(block_on(drop_after(3, hanging)), None);
        assert_eq!(polls, 3);
        assert_eq!(block_on(drop_after(0, async { panic!("it is never polled") })), None::<()>);
    }
}
