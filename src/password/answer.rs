//! One value, from a thread to a future of any executor.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex};

/// Gives the value. Dropped without one, it tells whoever waits that there will be none.
pub(super) struct Reply<T>(Arc<Mutex<Slot<T>>>);

/// Waits for the value; `None`: there will be none.
pub(super) struct Pending<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    is_over: bool,
}

pub(super) fn channel<T>() -> (Reply<T>, Pending<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None, is_over: false }));
    (Reply(Arc::clone(&slot)), Pending(slot))
}

impl<T> Reply<T> {
    pub(super) fn send(self, value: T) {
        self.0.lock().value = Some(value);
    }

    /// True if nobody waits any more.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.lock();
            slot.is_over = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        if slot.is_over {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
