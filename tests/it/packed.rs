use indexrank::packed::Packed;
use proptest::prelude::*;

type Value = (String, Option<u64>, Vec<String>);

/// Longer than a block now and then.
fn value() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        100 => "[A-D]{0,2}",
        1 => "[A-Z]{1}".prop_map(|letter| letter.repeat(100_000)),
    ];
    (
        name,
        any::<Option<u64>>(),
        prop::collection::vec("\\PC*", 0..3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is packed in several hands, put together, sorted and cleared of what is there twice, is
    /// what a vector makes of it.
    #[test]
    fn it_is_a_vector_in_less_memory(
        hands in prop::collection::vec(prop::collection::vec(value(), 0..60), 0..5),
        later in prop::collection::vec(value(), 0..3),
    ) {
        let mut packed = Packed::default();
        for hand in &hands {
            packed.append(hand.iter().cloned().collect());
        }
        later.iter().for_each(|value| packed.push(value));
        let mut values = [hands.concat(), later].concat();
        prop_assert!(packed.iter().eq(values.iter().cloned()));
        prop_assert_eq!((packed.len(), packed.is_empty()), (values.len(), values.is_empty()));

        packed.sort_by(|a, b| {
            let by_name = a.begins_with::<&str>().cmp(b.begins_with());
            by_name.then_with(|| a.value().cmp(&b.value()))
        });
        values.sort();
        prop_assert!(packed.iter().eq(values.iter().cloned()));

        packed.dedup_by(|later, kept| later.begins_with::<&str>() == kept.begins_with::<&str>());
        values.dedup_by(|later, kept| later.0 == kept.0);
        prop_assert!(packed.iter().eq(values.iter().cloned()));

        // What was sorted can be taken over, and goes on.
        let mut whole: Packed<Value> = values.iter().take(1).cloned().collect();
        whole.append(packed);
        values.splice(0..0, values.first().cloned());
        prop_assert!(whole.iter().eq(values));
    }
}
