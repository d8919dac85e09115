//! A whole market on 127.0.0.1: for a first look, for tests, and for any other client.

mod company_html;
mod faults;
mod html;
mod index_html;
mod listing;
mod market;
mod misbehave;
mod pages;
mod server;

pub use faults::{Faults, Plan, kinds};
pub use listing::Listing;
pub use market::{Market, SEED};
pub use pages::Pages;
pub use server::{Counts, Line, Server};
