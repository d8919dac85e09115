//! One answer in JSON → rows of a table: an object, or an array of objects.
//!
//! | JSON | column |
//! |---|---|
//! | text | TEXT |
//! | a whole number within 64 bits, without fraction and exponent | INTEGER |
//! | another number | REAL if the shortest decimal of that double is the same number, else TEXT as written |
//! | `true`, `false` | 1, 0 |
//! | `null` | NULL |
//! | an array or an object | TEXT: its JSON as written |
//!
//! SQLite compares the names of columns without regard to the case of ASCII letters. An object in which two
//! names are equal in this way is an error: one of its values would be lost.

use std::collections::HashSet;
use std::fmt;

use rusqlite::types::Value;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer as Parser, Error, error::Category};

use crate::site::text::{prefix, visible};

/// Bytes of a name that an error shows.
const MAX_SHOWN: usize = 60;

/// An object as a row: its names as written, in their order, with their values. The key is the first.
pub struct Row {
    pub columns: Vec<(String, Value)>,
}

/// Converts an answer. Each row has a column with the name of the key, which is neither null nor nested. The
/// error is what is wrong with the answer, to follow a colon.
pub fn rows(answer: &[u8], key: &str) -> Result<Vec<Row>, String> {
    let text = str::from_utf8(answer).map_err(|error| {
        let valid = String::from_utf8_lossy(&answer[..error.valid_up_to()]);
        let (line, column) = place(&valid, valid.len());
        format!(
            "it is no JSON: not UTF-8 at line {line} column {}",
            column + 1
        )
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let objects = objects(text)?;
    let count = objects.len();
    let rows = (1..).zip(objects).map(|(number, object)| {
        let row = row(&object, key, text);
        row.map_err(|why| match count {
            1 => why,
            _ => format!("object {number} of {count}: {why}"),
        })
    });
    rows.collect()
}

/// The names and values of an object in the text.
type Object<'a> = Vec<(String, &'a RawValue)>;

fn objects(text: &str) -> Result<Vec<Object<'_>>, String> {
    let mut parser = Parser::from_str(text);
    let is_object = text.trim_ascii_start().starts_with('{');
    // Not `deserialize_any`, which shows a number as a map.
    let objects = if is_object {
        parser.deserialize_map(Answer)
    } else {
        parser.deserialize_seq(Answer)
    };
    let ended = objects.and_then(|objects| parser.end().map(|()| objects));
    ended.map_err(|error| match error.classify() {
        Category::Data => error.to_string(),
        _ => format!("it is no JSON: {error}"),
    })
}

/// Reads an object or an array of objects.
struct Answer;

impl<'a> Visitor<'a> for Answer {
    type Value = Vec<Object<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(vec![OneObject.visit_map(map)?])
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = array.next_element_seed(OneObject)? {
            objects.push(object);
        }
        Ok(objects)
    }
}

struct OneObject;

impl<'a> DeserializeSeed<'a> for OneObject {
    type Value = Object<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for OneObject {
    type Value = Object<'a>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = map.next_entry()? {
            object.push(entry);
        }
        Ok(object)
    }
}

fn row(object: &Object, key: &str, text: &str) -> Result<Row, String> {
    let mut names = HashSet::new();
    let mut columns = Vec::with_capacity(object.len());
    let mut has_key = false;
    for (name, value) in object {
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(format!(
                "it has {} twice, in any case of letters",
                shown(name)
            ));
        }
        if name.contains('\0') {
            return Err(format!("{} cannot be a column: it has a NUL", shown(name)));
        }
        let is_nested = value.get().starts_with(['[', '{']);
        let value = cell(value).map_err(|error| of_value(text, value, &error))?;
        if name.eq_ignore_ascii_case(key) {
            if is_nested {
                return Err(format!("{} is an array or an object", shown(name)));
            }
            if value == Value::Null {
                return Err(format!("{} is null", shown(name)));
            }
            has_key = true;
        }
        columns.push((name.clone(), value));
    }
    if !has_key {
        return Err(format!("it has no {}", shown(key)));
    }
    Ok(Row { columns })
}

fn cell(value: &RawValue) -> Result<Value, Error> {
    let text = value.get();
    Ok(match text.as_bytes()[0] {
        b'"' => Value::Text(serde_json::from_str(text)?),
        b'n' => Value::Null,
        b't' => Value::Integer(1),
        b'f' => Value::Integer(0),
        b'[' | b'{' => {
            // A raw value may be nested to any depth and have halves of surrogate pairs; few programs could
            // read it back.
            serde_json::from_str::<serde_json::Value>(text)?;
            Value::Text(text.to_owned())
        }
        _ => number(text),
    })
}

fn number(text: &str) -> Value {
    if let Ok(integer) = text.parse() {
        return Value::Integer(integer);
    }
    let double: f64 = text.parse().unwrap_or(f64::INFINITY);
    let is_same = double.is_finite() && decimal(text) == decimal(&format!("{double:e}"));
    if is_same {
        Value::Real(double)
    } else {
        Value::Text(text.to_owned())
    }
}

/// The digits of a number between its first and its last that is not zero, and the power of ten of the last
/// one. `None` if the exponent has more than 63 bits.
fn decimal(text: &str) -> Option<(String, i64)> {
    let text = text.trim_start_matches('-');
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = (digits.len() - significant.len()) as i64;
    let exponent: i64 = exponent.parse().ok()?;
    let power = exponent
        .checked_sub(fraction.len() as i64)?
        .checked_add(zeros)?;
    Some(match significant.trim_start_matches('0') {
        "" => (String::new(), 0),
        digits => (digits.to_owned(), power),
    })
}

/// The error of a value, at its place in the whole text.
fn of_value(text: &str, value: &RawValue, error: &Error) -> String {
    let (line, column) = (error.line(), error.column());
    let sentence = error.to_string();
    let place_in_value = format!(" at line {line} column {column}");
    let what = sentence.strip_suffix(&place_in_value).unwrap_or(&sentence);
    let offset = value.get().as_ptr() as usize - text.as_ptr() as usize;
    let (first_line, columns_before) = place(text, offset);
    let column = match line {
        1 => columns_before + column,
        _ => column,
    };
    format!(
        "it is no JSON: {what} at line {} column {column}",
        first_line + line - 1
    )
}

/// The line of a byte, from 1, and the number of bytes before it in this line: the error messages of the
/// parser count bytes.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    (line, offset - line_start)
}

/// A name as an error shows it, in backticks.
pub fn shown(name: &str) -> String {
    let start = prefix(name, MAX_SHOWN);
    let end = if start.len() < name.len() { "…" } else { "" };
    format!("`{}{end}`", visible(start))
}
