//! Which way a run goes wherever there is more than one.

use crate::entropy::Entropy as _;
use crate::testing::SeededEntropy;

/// All ways one after the other, or some of them by lot.
pub(super) enum Choices {
    All { path: Vec<Fork>, at: usize },
    Some { lots: SeededEntropy },
}

/// Where a run may go several ways, and which it goes.
pub(super) struct Fork {
    taken: usize,
    ways: usize,
}

impl Choices {
    pub(super) const fn all() -> Self {
        Self::All { path: Vec::new(), at: 0 }
    }

    /// The same ways at each run of the program.
    pub(super) fn some(seed: u64) -> Self {
        Self::Some { lots: SeededEntropy::new(seed) }
    }

    /// One of `ways`, at least one.
    pub(super) fn pick(&mut self, ways: usize) -> usize {
        match self {
            Self::All { path, at } => {
                let fork = *at;
                *at += 1;
                if let Some(fork) = path.get(fork) {
                    return fork.taken.min(ways - 1);
                }
                path.push(Fork { taken: 0, ways });
                0
            }
            Self::Some { lots } => lot(lots, ways),
        }
    }

    /// As [`pick`](Self::pick), but a lot falls on the first way four times out of five.
    pub(super) fn pick_rarely(&mut self, ways: usize) -> usize {
        match self {
            Self::Some { lots } if lot(lots, 5) > 0 => 0,
            _ => self.pick(ways),
        }
    }

    /// Goes back to the start, to take a way that was not taken yet. False if there is none;
    /// by lot there always is.
    pub(super) fn turn(&mut self) -> bool {
        let Self::All { path, at } = self else { return true };
        *at = 0;
        while let Some(mut last) = path.pop() {
            last.taken += 1;
            if last.taken < last.ways {
                path.push(last);
                return true;
            }
        }
        false
    }
}

fn lot(lots: &SeededEntropy, ways: usize) -> usize {
    let [byte, other, ..] = lots.draw().unwrap_or_default();
    usize::from(u16::from_be_bytes([byte, other])) % ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_taken_once() {
        let mut choices = Choices::all();
        let mut seen = Vec::new();
        loop {
            let first = choices.pick(2);
            // The second way of the first fork has no second fork.
            seen.push(if first == 0 { vec![first, choices.pick(3)] } else { vec![first] });
            if !choices.turn() {
                break;
            }
        }
        assert_eq!(seen, [vec![0, 0], vec![0, 1], vec![0, 2], vec![1]]);
    }

    #[test]
    fn lots_are_the_same_at_each_run() {
        let draw = |seed| {
            let mut choices = Choices::some(seed);
            (0..20).map(|_| choices.pick(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).iter().all(|way| *way < 7));
    }
}
