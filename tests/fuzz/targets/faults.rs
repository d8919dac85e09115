//! Any fault plan is rejected with a message, or decides about every request.
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
