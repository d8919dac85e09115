//! How the HTML page draws each participant: one colour, one dash pattern and one marker throughout
//! the page and in every race. `page.css` has the colours and the dash patterns.

use maud::{Markup, html};

use crate::race::contenders;
use crate::race::findings::round_set::RoundSet;
use crate::race::run::participant::Participant;

/// The colours are those of Okabe and Ito (<https://jfly.uni-koeln.de/color/>), made for all kinds of
/// colour blindness, that have a contrast of at least 3 to both a white and a dark page: blue,
/// vermillion, bluish green, reddish purple, and black, which is white on the dark page. Their orange,
/// sky blue and yellow are too pale on white.
const COLOURS: usize = 5;
/// Dash patterns, each with a marker of its own. Coprime to the number of colours: neighbours differ
/// in both, and the first 20 participants differ in at least one.
const DASHES: usize = 4;

/// The programs of the user, by name. Contenders have their place in the table of contenders.
pub struct Palette {
    programs: Vec<String>,
}

impl Palette {
    pub fn of(sets: &[RoundSet]) -> Self {
        let entries = sets.iter().flat_map(|set| &set.entries);
        let mut programs: Vec<String> = entries
            .filter(|entry| matches!(entry.participant, Participant::Program { .. }))
            .map(|entry| entry.name().to_owned())
            .collect();
        programs.sort();
        programs.dedup();
        Palette { programs }
    }

    /// The place of a participant: contenders as in their table, then the programs of the user.
    pub fn place(&self, name: &str) -> usize {
        let contenders = &contenders::ALL;
        if let Some(place) = contenders.iter().position(|known| known.name == name) {
            return place;
        }
        let program = self.programs.iter().position(|program| program == name);
        contenders.len() + program.unwrap_or(self.programs.len())
    }

    pub fn style(&self, name: &str) -> Style {
        Style::of(self.place(name))
    }
}

/// A colour and a dash pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Style {
    colour: usize,
    dash: usize,
}

impl Style {
    fn of(place: usize) -> Self {
        Style {
            colour: place % COLOURS,
            dash: place % DASHES,
        }
    }

    /// The CSS classes.
    pub fn class(self) -> String {
        format!("c{} d{}", self.colour, self.dash)
    }

    /// The path of a marker: a circle, a square, a triangle or a diamond.
    pub fn marker(self, x: f64, y: f64) -> String {
        let shape = match self.dash {
            0 => "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
            1 => "m-3.2 -3.2h6.4v6.4h-6.4z",
            2 => "m0 -4.2l4.2 7.4h-8.4z",
            _ => "m0 -4.6l4.6 4.6l-4.6 4.6l-4.6 -4.6z",
        };
        format!("M{x:.1} {y:.1}{shape}")
    }

    /// A short piece of the line, to stand beside a name.
    pub fn swatch(self) -> Markup {
        html! {
            svg class=(format!("swatch {}", self.class())) width="36" height="12" aria-hidden="true" {
                path.line d="M1 6H35" {}
                path.marker d=(self.marker(18.0, 6.0)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn twenty_participants_have_styles_of_their_own() {
        let styles: Vec<Style> = (0..20).map(Style::of).collect();
        assert_eq!(styles.iter().collect::<HashSet<_>>().len(), 20);
        for pair in styles.windows(2) {
            assert!(
                pair[0].colour != pair[1].colour && pair[0].dash != pair[1].dash,
                "{pair:?}"
            );
        }
    }

    #[test]
    fn programs_of_the_user_follow_the_contenders() {
        let palette = Palette {
            programs: vec!["mine".to_owned(), "yours".to_owned()],
        };
        let contenders = contenders::ALL.len();
        for (name, place) in [
            (contenders::PRODUCT, 0),
            ("mine", contenders),
            ("yours", contenders + 1),
        ] {
            assert_eq!(palette.place(name), place, "{name}");
        }
    }
}
