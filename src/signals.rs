//! Signals that cancel a run: SIGINT (Ctrl-C) and SIGTERM.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

/// One key press can arrive as two signals, from the terminal and from a program in between.
const ONE_KEY_PRESS: Duration = Duration::from_millis(300);

/// Catches SIGINT and SIGTERM and sends the first one to the channel, so that the run ends in order. A
/// second signal ends the process at once.
#[cfg(unix)]
pub fn receive() -> Receiver<i32> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

    // With a limit on the size of files (`ulimit -f`), a write beyond it becomes an ordinary error.
    // If the handler cannot be set, the signal ends the process as usual.
    let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    // If this fails, SIGINT and SIGTERM end the process as usual.
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else {
        return crossbeam_channel::never();
    };
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let wait = move || {
        let mut signals = signals.forever();
        let Some(first) = signals.next() else { return };
        // Without a receiver, the run has already ended.
        let _ = sender.send(first);
        let received = Instant::now();
        for second in signals {
            if received.elapsed() > ONE_KEY_PRESS {
                std::process::exit(128 + second);
            }
        }
    };
    // Where no thread can be started, a run ends before its first request.
    let _ = std::thread::Builder::new().spawn(wait);
    receiver
}

#[cfg(not(unix))]
pub fn receive() -> Receiver<i32> {
    crossbeam_channel::never()
}
