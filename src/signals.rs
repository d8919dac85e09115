//! Ctrl-C and its like.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

/// A key that is pressed once can arrive twice, from the terminal and from a program between.
const ONE_KEY: Duration = Duration::from_millis(300);

/// From now on SIGINT and SIGTERM do not end the process but arrive here, by their numbers: the run
/// ends in order. A second one ends the process at once, for those who cannot wait.
#[cfg(unix)]
pub fn listen() -> Receiver<i32> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

    // Where files may have so many bytes only, to write more is an error like others, not the end.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    let (sender, receiver) = crossbeam_channel::bounded(1);
    // Without it, the signals do what they always do.
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) {
        std::thread::spawn(move || {
            let mut signals = signals.forever();
            let Some(first) = signals.next() else { return };
            let _ = sender.send(first);
            let since = Instant::now();
            for second in signals {
                if since.elapsed() > ONE_KEY {
                    std::process::exit(128 + second);
                }
            }
        });
    }
    receiver
}

#[cfg(not(unix))]
pub fn listen() -> Receiver<i32> {
    crossbeam_channel::never()
}
