//! The version of the files that other programs read.

/// The version of `run.json`, of the table of all companies, and of the JSON of `diff` and `history`. Each of
/// them carries it as `schema`.
///
/// Within a version, fields and columns keep their names, types, units and meanings, and columns keep
/// their order. New fields may be added anywhere, and new columns before `schema`, the last one, so
/// programs should find a column by its name. Everything else needs the next version. The files of the
/// rankings are arrays without a place for it; their three keys belong to the same version. With `--in`,
/// the table has the column `price_in` in the place of `price_rub`.
pub const SCHEMA: u32 = 1;
