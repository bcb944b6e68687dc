//! The queue of the hash pool, and the answers that come out of it.

use loom::future::block_on;
use loom::thread;

use crate::answer::{Pending, Reply, channel};
use crate::queue::{Abandonable, Queue};
use crate::sync::Arc;

struct Job {
    number: u32,
    reply: Reply<u32>,
}

impl Abandonable for Job {
    fn is_abandoned(&self) -> bool {
        self.reply.is_abandoned()
    }
}

fn job(number: u32) -> (Job, Pending<u32>) {
    let (reply, answer) = channel();
    (Job { number, reply }, answer)
}

/// As a thread of the pool does, until the queue is closed.
fn serve(queue: &Queue<Job>) {
    while let Some(Job { number, reply }) = queue.take() {
        reply.send(10 * number);
    }
}

fn worker(queue: &Arc<Queue<Job>>) -> thread::JoinHandle<()> {
    let queue = Arc::clone(queue);
    thread::spawn(move || serve(&queue))
}

#[test]
fn every_job_that_got_a_place_is_answered() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(2));
        let threads = [worker(&queue), worker(&queue)];
        let [(first, one), (second, other)] = [job(1), job(2)];
        queue.push(first).unwrap();
        queue.push(second).unwrap();
        assert_eq!((block_on(one), block_on(other)), (Some(10), Some(20)));
        queue.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn threads_end_when_the_pool_does_and_not_before_what_waits_is_done() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1));
        let thread = worker(&queue);
        let (only, answer) = job(1);
        queue.push(only).unwrap();
        queue.close();
        thread.join().unwrap();
        assert_eq!(block_on(answer), Some(10));
    });
}

#[test]
fn one_that_hangs_up_takes_no_place_and_holds_nobody_up() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1));
        let (first, given_up) = job(1);
        queue.push(first).unwrap();
        let hangs_up = thread::spawn(move || drop(given_up));
        let thread = worker(&queue);
        let (second, answer) = job(2);
        // Full only as long as the first one waits.
        let pushed = queue.push(second).is_ok();
        hangs_up.join().unwrap();
        if pushed {
            assert_eq!(block_on(answer), Some(20));
        }
        queue.close();
        thread.join().unwrap();
    });
}

#[test]
fn a_job_that_is_dropped_tells_its_caller() {
    loom::model(|| {
        let (job, answer) = job(1);
        let thread = thread::spawn(move || drop(job));
        assert_eq!(block_on(answer), None);
        thread.join().unwrap();
    });
}
