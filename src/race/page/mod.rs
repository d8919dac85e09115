//! The HTML page of a race: one file, without scripts, that loads nothing.
//! Not in here: the numbers, which are `findings`.
//! A further chart goes into `html` if it is about all conditions, and into `condition` if it is about one.

mod chart;
mod condition;
mod html;
mod palette;
mod scale;
mod timeline;

pub use html::page;
