//! Records, what finds them, and lists that are damaged: misses that go, and are replaced.

use super::*;

#[test]
fn a_record_survives_no_damage() {
    let bench = bench();
    let mut meta = plain("GET http://a/");
    meta.trailers = fields(&[("Digest", "x")]);
    publish(&bench.store, &meta, &content(40, 1));
    let whole = bench.record(&meta.key).len();
    assert!(whole < 500, "{whole}");
    let mut table: Vec<(usize, u8)> = (0..whole).flat_map(|at| [(at, 1), (at, 0x80)]).collect();
    table.extend((0..whole).map(|at| (at, 0)));
    for (at, bit) in table {
        bench.damage(&meta.key, &|bytes| match bit {
            0 => bytes.truncate(at),
            bit => bytes[at] ^= bit,
        });
        assert!(look(&bench.store, &meta.key).is_none(), "{at} {bit}");
        assert_eq!(bench.counts(), (0, 0), "{at} {bit}");
        publish(&bench.store, &meta, &content(40, 1));
    }
}

#[test]
fn what_finds_a_record_survives_no_damage() {
    let bench = bench();
    let meta = plain("GET http://a/");
    publish(&bench.store, &meta, &content(40, 1));
    for at in 0..60 {
        for cut in [false, true] {
            bench.damage_entry(&meta.key, &|bytes| match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= 1,
            });
            assert!(look(&bench.store, &meta.key).is_none(), "{at}");
            // Which number it had can't be told any more: that goes when eviction comes by.
            assert_eq!(bench.counts().0, 0, "{at}");
            publish(&bench.store, &meta, &content(40, 1));
            assert!(look(&bench.store, &meta.key).is_some(), "{at}");
        }
    }
    assert_eq!(bench.counts(), (1, 121));
    bench.evict(1);
    bench.evict(u64::MAX);
    assert_eq!(bench.counts(), (0, 0));
}

#[test]
fn a_damaged_list_is_a_miss_and_is_replaced() {
    let bench = bench();
    let request = fields(&[("A", "1")]);
    let meta = meta("GET http://a/", &[("Vary", "A")], &request);
    publish(&bench.store, &meta, &content(10, 1));
    let entry = EntryKey::of_list(&meta.key);
    let environment = bench.store.environment().unwrap();
    let put = |bytes: &[u8]| {
        let mut txn = environment.write().unwrap();
        let put = environment.objects.put(&mut txn, entry.as_bytes(), bytes);
        put.unwrap();
        txn.commit().unwrap();
    };
    let whole = {
        let txn = environment.read().unwrap();
        let bytes = environment.objects.get(&txn, entry.as_bytes()).unwrap();
        bytes.unwrap().to_vec()
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        put(&bytes);
        let found = bench.store.lookup(&meta.key, &request).unwrap();
        assert!(!matches!(found, Found::Object(_)), "byte {at}");
    }
    publish(&bench.store, &meta, &content(10, 1));
    let found = bench.store.lookup(&meta.key, &request).unwrap();
    assert!(matches!(found, Found::Object(_)));
    // By a response that needs none, too.
    put(b"cp-list4 damaged");
    publish(&bench.store, &plain("GET http://a/"), &content(10, 1));
    assert!(look(&bench.store, &meta.key).is_some());
    assert_eq!(bench.counts(), (1, 1));
}
