//! Where a shard stands, and when it asks for more.

use super::*;

#[test]
fn a_shard_takes_two_lines_of_the_cache() {
    assert_eq!(size_of::<Padded>(), 128);
}

#[test]
fn no_memory_is_asked_for_while_a_lock_is_held() {
    let store = store_of(700);
    let Padded(shard) = &store.shards[0];
    let mut grants: Vec<Arc<Grant>> = Vec::new();
    let (mut moved, mut random) = (0, 1_u32);
    for now in 0..20_000_u64 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let choice = random >> 16;
        let lifetime = if choice.is_multiple_of(7) { 40 } else { 900 };
        let code = (choice % 11 == 3).then(|| with_code(now, 60));
        let own = code.as_ref().map_or_else(|| grant("app", now, lifetime), |(grant, _)| Arc::clone(grant));
        let mut given_up = None;
        let mut shard = room::lock_to_add(shard, &mut given_up);
        let before = shard.capacities();
        let _ = shard.insert(Arc::clone(&own), &store.budget);
        if let Some((grant, code)) = code {
            drop(shard);
            let next = redeemed(&grant, &code, now, hour(), choice % 2 == 0);
            let _ = replace(&store, &next, grant.revision());
        } else {
            let looks = store.look_at_due(&mut shard, secs(now));
            let after = shard.capacities();
            assert_eq!((after.0, after.1.0), (before.0, before.1.0), "at {now}");
            // The first of the others is a small allocation, and most shards have none.
            assert!(after.1.1 == before.1.1 || before.1.1 == 0, "at {now}");
            drop((shard, looks));
        }
        moved += usize::from(given_up.is_some());
        grants.push(own);
        if choice % 3 == 0 {
            let grant = grants.swap_remove(usize::try_from(choice).unwrap() % grants.len());
            let _ = remove(&store, &grant, None);
        }
    }
    assert_consistent(&store);
    assert!((15..2000).contains(&moved), "{moved}");
}
