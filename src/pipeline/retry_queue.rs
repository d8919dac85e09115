//! The waiting room: pages that wait for their next attempt, without keeping a thread busy.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, at, never, select};

use crate::site::index::Link;
use crate::source::retry::Attempts;
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::{Phase, Role};

/// A company whose page is wanted, on its way through the stages.
///
/// It holds the way back into the waiting room. That is how the run knows its end: the room's
/// channel closes when no errand is left anywhere, be it done, given up or lost with a thread that
/// panicked.
#[derive(Debug)]
pub struct Errand {
    pub link: Link,
    pub tried: Attempts,
    pub back: Sender<Waiting>,
}

impl Errand {
    /// Sends it into the waiting room; hands it back if nobody is there.
    pub fn wait_until(self, due: Instant) -> Result<(), Errand> {
        let back = self.back.clone();
        back.send(Waiting { errand: self, due })
            .map_err(|unsent| unsent.0.errand)
    }
}

/// An errand and when it goes on.
#[derive(Debug)]
pub struct Waiting {
    errand: Errand,
    due: Instant,
}

/// Takes errands in and sends each out when it is due, all of them as soon as `closing` is
/// disconnected, until there are no errands any more.
///
/// They queue up behind those that wait for their first attempt. A channel of their own, which
/// fetchers would have to watch too, takes 4 % more CPU time for a quiet job.
pub fn room(
    inbox: Receiver<Waiting>,
    out: Sender<Errand>,
    mut closing: Receiver<Infallible>,
    meter: &Meter,
) {
    // By due time, and by a number that makes them unlike each other.
    let mut waiting = BTreeMap::new();
    let mut number = 0;
    let mut in_a_hurry = false;
    loop {
        let next = waiting.first_key_value().map(|((due, _), _)| *due);
        let next = next.map(|due: Instant| if in_a_hurry { Instant::now() } else { due });
        select! {
            recv(inbox) -> errand => match errand {
                Ok(Waiting { errand, due }) => {
                    number += 1;
                    let mut lane = meter.lane(Role::Waiting);
                    lane.about(&errand.link.path);
                    waiting.insert((due, number), (errand, lane, Instant::now()));
                    meter.waiting.add(1);
                }
                Err(_) => return,
            },
            recv(closing) -> _ => {
                in_a_hurry = true;
                closing = never();
            }
            recv(next.map_or_else(never, at)) -> _ => if let Some((_, (errand, mut lane, since))) = waiting.pop_first() {
                lane.note(Phase::Pausing, since, Instant::now());
                meter.waiting.take_back(1);
                // If nobody is there to take it, the errand ends here.
                let _ = out.send(errand);
            }
        }
    }
}
