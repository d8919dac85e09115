//! All integration tests, built as one binary: it links once, and its tests share a server.

mod run;
mod support;

mod archive;
mod capture;
mod cli;
mod company;
#[cfg(feature = "compare")]
mod compare;
#[cfg(feature = "compare")]
mod compare_html;
#[cfg(feature = "compare")]
mod compare_work;
mod damage;
mod faults;
mod figure;
mod gate;
mod golden;
mod harvest;
mod hostile;
mod index;
mod index_faults;
#[cfg(unix)]
mod interrupted;
mod mutations;
#[cfg(unix)]
mod network;
mod packed;
mod page;
mod politeness;
mod properties;
mod rank;
mod rates;
mod read;
#[cfg(unix)]
mod resume;
mod server;
mod stages;
mod suspicion;
mod tls;
mod torture;
mod trace;
mod walks;
