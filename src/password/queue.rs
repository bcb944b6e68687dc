//! What waits for the threads of a pool: bounded, first come first served.

use std::collections::VecDeque;

use super::sync::{Condvar, Mutex};

/// Something that its caller may no longer wait for.
pub(super) trait Abandonable {
    fn is_abandoned(&self) -> bool;
}

pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    length: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    is_open: bool,
}

/// There is no place left.
#[derive(Debug)]
pub(super) struct Full;

impl<J: Abandonable> Queue<J> {
    pub(super) fn new(length: usize) -> Self {
        let state = State { jobs: VecDeque::new(), is_open: true };
        Self { state: Mutex::new(state), filled: Condvar::new(), length }
    }

    pub(super) fn push(&self, job: J) -> Result<(), Full> {
        let mut state = self.state.lock();
        if state.jobs.len() >= self.length {
            // Whoever hung up has left a place.
            state.jobs.retain(|job| !job.is_abandoned());
        }
        if state.jobs.len() >= self.length {
            return Err(Full);
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for a job; `None` when there will be none.
    pub(super) fn take(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            while let Some(job) = state.jobs.pop_front() {
                if !job.is_abandoned() {
                    return Some(job);
                }
            }
            if !state.is_open {
                return None;
            }
            state = self.filled.wait(state);
        }
    }

    /// Lets those that wait go once what is there has been taken.
    pub(super) fn close(&self) {
        self.state.lock().is_open = false;
        self.filled.notify_all();
    }
}
