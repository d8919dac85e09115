//! Takes any text as the faults of `serve --faults`: rejects it with a message, or picks a fault or none
//! for each request.
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
