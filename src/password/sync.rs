//! What the queue and the answers are made of; `models/` has others, which try every order.

pub(super) use std::sync::Arc;

pub(super) use crate::sync::{Condvar, Mutex};
