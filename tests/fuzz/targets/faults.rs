//! Parses arbitrary text as the faults of `serve --faults`, and picks a fault or none for each
//! request. A rejected text must get a message.
#![no_main]

use indexrank::replica::{Faults, Plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|spec: &str| {
    match spec.parse::<Faults>() {
        Ok(faults) => {
            let plan = Plan::new(faults, 1);
            for path in ["/", "/stocks/a-stock", "/stocks/a-stock"] {
                plan.next(path);
            }
        }
        Err(error) => assert!(!error.is_empty()),
    }
});
