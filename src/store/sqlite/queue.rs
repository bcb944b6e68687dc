use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

/// A bounded queue from many callers, who never wait, to the threads that do the work.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    capacity: usize,
}

struct State<T> {
    entries: VecDeque<T>,
    /// How many entries it takes to wake who waits.
    wanted: usize,
    is_open: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { entries: VecDeque::new(), wanted: 1, is_open: true };
        Self { state: Mutex::new(state), filled: Condvar::new(), capacity }
    }

    /// Gives the entry back if there is no room for it.
    pub(super) fn push(&self, entry: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if !state.is_open || state.entries.len() >= self.capacity {
            return Err(entry);
        }
        state.entries.push_back(entry);
        let is_enough = state.entries.len() >= state.wanted;
        drop(state);
        if is_enough {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// No more can be pushed. What is in it can still be taken.
    pub(super) fn close(&self) {
        self.state.lock().is_open = false;
        self.filled.notify_all();
    }

    /// Waits for an entry. `None`: the queue is closed and empty.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                return Some(entry);
            }
            if !state.is_open {
                return None;
            }
            state = self.filled.wait(state);
        }
    }

    /// Waits for an entry, then up to `patience` until there are `hoped` of them, and takes
    /// `most`. For one thread only. None: the queue is closed and empty.
    pub(super) fn take_many(&self, hoped: usize, patience: Duration, most: usize) -> Vec<T> {
        let mut state = self.state.lock();
        while state.entries.is_empty() && state.is_open {
            state = self.filled.wait(state);
        }
        if state.entries.len() < hoped && state.is_open {
            state.wanted = hoped;
            // Woken early, it takes what there is.
            state = self.filled.wait_for(state, patience);
            state.wanted = 1;
        }
        let count = state.entries.len().min(most);
        state.entries.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_the_order() {
        let queue = Queue::new(2);
        assert_eq!((queue.push(1), queue.push(2), queue.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(queue.take(), Some(1));
        queue.close();
        assert_eq!(queue.push(4), Err(4));
        assert_eq!((queue.take(), queue.take()), (Some(2), None));
        assert!(queue.take_many(5, Duration::from_secs(60), 5).is_empty());
    }

    #[test]
    fn it_takes_no_more_than_is_asked_for_and_waits_for_what_is_hoped_for() {
        let queue = Queue::new(100);
        thread::scope(|scope| {
            let pushed = scope.spawn(|| (0..8).try_for_each(|entry| queue.push(entry)));
            assert_eq!(queue.take_many(8, Duration::from_secs(60), 5), [0, 1, 2, 3, 4]);
            assert_eq!(pushed.join().unwrap(), Ok(()));
            assert_eq!(queue.take_many(8, Duration::from_millis(1), 5), [5, 6, 7]);
        });
    }
}
