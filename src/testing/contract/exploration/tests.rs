use crate::testing::block_on;
use crate::testing::contract::tests::flawed::{FLAWS, Flawed, Known};
use crate::testing::reference::Reference;

use super::*;

#[test]
fn a_correct_store_passes_in_every_order_and_with_each_trouble() {
    let explored = block_on(Exploration::exhaustive().run(async || Reference::default())).unwrap();
    assert!(explored.runs > 100_000, "{explored:?}");
}

#[test]
fn each_flaw_breaks_the_rules_of_the_protocol_that_it_is_said_to() {
    for Known { flaw, protocol, .. } in FLAWS {
        // Those that no pair shows pass, and would only take time.
        if protocol.is_empty() {
            continue;
        }
        let exploration = Exploration::pairs().overlapping_calls();
        let found = block_on(exploration.run(async || Flawed::new(*flaw))).unwrap_err();
        let broken: Vec<_> = found.rules().collect();
        for rule in *protocol {
            assert!(broken.contains(rule), "{flaw:?} should break {rule}, and breaks {broken:?}");
        }
        assert!(found.iter().all(|it| it.schedule.is_some() || it.rule == "protocol_opening"), "{found}");
    }
}

#[test]
fn a_violation_shows_the_run_that_broke_the_rule() {
    let forgets = FLAWS.iter().find(|known| known.text == "forgets to compare the revision").unwrap();
    let found = block_on(Exploration::pairs().run(async || Flawed::new(forgets.flaw))).unwrap_err();
    let shown = found.iter().find(|it| it.rule == "protocol_single_use").unwrap().to_string();
    let expected = "\
protocol_single_use: a code gives tokens 2 times, not 1
    before: a code that is yet to be redeemed
    request 0: exchange → tokens
    request 1: exchange → tokens
     1. request 0: load
     2. request 1: load
     3. request 0: replace
     4. request 1: replace";
    assert_eq!(shown, expected);
}

#[test]
fn a_sample_is_the_same_at_each_run_and_finds_what_goes_wrong() {
    let sample = |seed| block_on(Exploration::pairs().sample(500, seed).run(async || Reference::default()));
    assert_eq!(sample(1).unwrap(), sample(1).unwrap());
    assert_ne!(sample(1).unwrap(), sample(2).unwrap());
}

#[test]
fn requests_are_chosen_once_or_in_each_order() {
    let asks = [Ask::Refresh, Ask::Purge, Ask::Introspect];
    assert_eq!(requests(&asks, 2, Skew::None).len(), 6);
    assert_eq!(requests(&asks, 3, Skew::None).len(), 10);
    assert_eq!(requests(&asks, 2, Skew::Ahead).len(), 9);
    assert_eq!(requests(&asks, 3, Skew::Ahead).len(), 27);
}

#[test]
fn a_grant_does_not_grow() {
    block_on(growth(async || Reference::default(), 500)).unwrap();
}
