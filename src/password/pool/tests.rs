use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::sync::Mutex;

use crate::testing::{block_on, drop_after, join_all};

use super::*;

/// Does what the password says.
struct Odd {
    started: mpsc::Sender<()>,
    gate: Mutex<mpsc::Receiver<()>>,
    runs: Arc<AtomicUsize>,
}

impl Hashing for Odd {
    fn verify(
        &self,
        _: &mut Arena,
        _: Option<&PasswordHash>,
        password: &str,
    ) -> Result<Verdict, VerifierError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        match password {
            "panic" => panic!("as the password says"),
            "hang" => {
                self.started.send(()).unwrap();
                self.gate.lock().recv().unwrap();
                Ok(Verdict::Right)
            }
            _ => Ok(Verdict::Wrong),
        }
    }

    fn hash(&self, _: &mut Arena, _: &str, _: &[u8]) -> Result<PasswordHash, VerifierError> {
        panic!("as always")
    }
}

struct Bench {
    pool: HashPool,
    started: mpsc::Receiver<()>,
    gate: mpsc::Sender<()>,
    runs: Arc<AtomicUsize>,
}

fn odd(threads: usize, queue: usize) -> Bench {
    let (started, has_started) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let runs = Arc::default();
    let odd = Odd { started, gate: Mutex::new(gate), runs: Arc::clone(&runs) };
    let pool = HashPool::start(Box::new(odd), HashPool::builder().threads(threads).queue(queue)).unwrap();
    Bench { pool, started: has_started, gate: open, runs }
}

fn cheap() -> HashPool {
    HashPool::builder().cost(64, 1, 1).build().unwrap()
}

#[test]
fn a_check_that_panics_is_answered_and_the_pool_goes_on() {
    let Bench { pool, .. } = odd(1, 8);
    for _ in 0..3 {
        assert!(matches!(block_on(pool.verify(None, "panic")), Err(VerifierError::Failed(_))));
        assert!(block_on(pool.hash_password("x")).is_err());
        assert_eq!(block_on(pool.verify(None, "x")).unwrap(), Verdict::Wrong);
    }
}

#[test]
fn a_check_that_hangs_keeps_one_thread_and_the_others_go_on() {
    let Bench { pool, started, gate, .. } = odd(2, 8);
    let hanging = pool.clone();
    let hanging = thread::spawn(move || block_on(hanging.verify(None, "hang")));
    started.recv().unwrap();
    assert_eq!(block_on(pool.verify(None, "x")).unwrap(), Verdict::Wrong);
    gate.send(()).unwrap();
    assert_eq!(hanging.join().unwrap().unwrap(), Verdict::Right);
}

#[test]
fn what_cannot_wait_is_told_so_and_who_hung_up_leaves_a_place() {
    let Bench { pool, started, gate, runs } = odd(1, 2);
    let hanging = pool.clone();
    let hanging = thread::spawn(move || block_on(hanging.verify(None, "hang")));
    started.recv().unwrap();
    // Two wait, and have hung up before a third comes.
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(pool.verify(None, "x"))).collect();
    for wait in &mut waiting {
        assert!(block_on(drop_after(1, wait.as_mut())).is_none());
    }
    assert!(matches!(block_on(pool.verify(None, "y")), Err(VerifierError::Busy)));
    waiting.clear();
    let mut third = Box::pin(pool.verify(None, "z"));
    assert!(block_on(drop_after(1, third.as_mut())).is_none(), "it waits");
    gate.send(()).unwrap();
    assert_eq!(block_on(third).unwrap(), Verdict::Wrong);
    hanging.join().unwrap().unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2, "nobody works for who hung up");
}

#[test]
fn nobody_works_for_who_has_hung_up_before_their_turn() {
    let Bench { pool, started, gate, runs } = odd(1, 8);
    let hanging = pool.clone();
    let hanging = thread::spawn(move || block_on(hanging.verify(None, "hang")));
    started.recv().unwrap();
    assert!(block_on(drop_after(1, pool.verify(None, "x"))).is_none());
    gate.send(()).unwrap();
    hanging.join().unwrap().unwrap();
    assert_eq!(block_on(pool.verify(None, "y")).unwrap(), Verdict::Wrong);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn the_threads_end_with_the_last_handle() {
    let Bench { pool, runs, .. } = odd(3, 8);
    let shared = Arc::downgrade(&pool.0.shared);
    drop(pool.clone());
    assert!(block_on(pool.verify(None, "x")).is_ok());
    drop(pool);
    while shared.strong_count() > 0 {
        thread::yield_now();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn passwords_are_compared_to_the_byte() {
    let pool = cheap();
    let long = "x".repeat(100_000);
    for password in ["", "a", "\0", "a\0b", " a+b%£ ", "wonderland", "\u{1f511}", &long] {
        let hash = block_on(pool.hash_password(password)).unwrap();
        assert_eq!(block_on(pool.verify(Some(&hash), password)).unwrap(), Verdict::Right);
        for wrong in [format!("{password} "), format!("{password}\0"), password.to_uppercase() + "x"] {
            assert_eq!(block_on(pool.verify(Some(&hash), &wrong)).unwrap(), Verdict::Wrong);
        }
        assert_eq!(hash.as_str().parse::<PasswordHash>().unwrap(), hash);
    }
    assert_eq!(block_on(pool.verify(None, "wonderland")).unwrap(), Verdict::Wrong);
}

#[test]
fn two_hashes_of_one_password_differ() {
    let pool = cheap();
    let [first, second] = [(); 2].map(|()| block_on(pool.hash_password("x")).unwrap());
    assert_ne!(first, second);
}

#[test]
fn a_hash_that_costs_less_than_new_ones_is_weak() {
    let old = HashPool::builder().cost(32, 1, 1).build().unwrap();
    let hash = block_on(old.hash_password("x")).unwrap();
    assert_eq!(block_on(old.verify(Some(&hash), "x")).unwrap(), Verdict::Right);
    assert_eq!(block_on(cheap().verify(Some(&hash), "x")).unwrap(), Verdict::RightButWeak);
    let strong = block_on(cheap().hash_password("x")).unwrap();
    assert_eq!(block_on(old.verify(Some(&strong), "x")).unwrap(), Verdict::Right);
}

#[test]
fn an_argon2id_hash_of_another_program_is_read() {
    // The reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
    let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let hash = text.parse().unwrap();
    assert_eq!(block_on(cheap().verify(Some(&hash), "password")).unwrap(), Verdict::Right);
    assert_eq!(block_on(cheap().verify(Some(&hash), "Password")).unwrap(), Verdict::Wrong);
}

#[test]
fn many_at_once_are_all_answered() {
    let pool = HashPool::builder().cost(64, 1, 1).queue(64).build().unwrap();
    let hash = block_on(pool.hash_password("x")).unwrap();
    let answers = block_on(join_all((0..64).map(|_| pool.verify(Some(&hash), "y"))));
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Verdict::Wrong))));
}

#[test]
fn a_cost_that_is_out_of_range_is_refused() {
    for (memory, passes, lanes) in [(4 << 20, 1, 1), (64, 0, 1), (64, 1, 0), (7, 1, 1), (64, 1, 100)] {
        assert!(HashPool::builder().cost(memory, passes, lanes).build().is_err());
    }
}
