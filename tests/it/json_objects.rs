//! Answers in JSON that become rows of a table.

use std::fs;
use std::path::Path;
use std::process::Command;

use indexrank::store::objects::Objects;
use indexrank::store::schema::{Database, WAIT};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A folder with a path for a database.
fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.sqlite");
    (folder, path)
}

fn insert(objects: &mut Objects, answers: &[&str]) -> Vec<Result<u64, String>> {
    objects
        .insert_all(answers.iter().map(|answer| answer.as_bytes()))
        .unwrap()
}

/// All rows as SQL literals, such as `1|'a'|NULL`.
fn rows(path: &Path, select: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(select).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let literal = |column| {
            row.get(column).map(|value| match value {
                Value::Null => "NULL".to_owned(),
                Value::Integer(integer) => integer.to_string(),
                Value::Real(real) => format!("{real:?}"),
                Value::Text(text) => format!("'{text}'"),
                Value::Blob(_) => "a blob".to_owned(),
            })
        };
        let literals: rusqlite::Result<Vec<String>> = (0..columns).map(literal).collect();
        Ok(literals?.join("|"))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// What an answer becomes in a new table with the key `id`: its first row, or the error.
fn inserted(answer: &str) -> String {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    match insert(&mut objects, &[answer]).remove(0) {
        Ok(_) => rows(&path, "SELECT * FROM t").remove(0),
        Err(why) => {
            assert_eq!(rows(&path, "SELECT * FROM t"), [""; 0], "{answer}");
            assert_eq!(columns(&path), ["id"], "{answer}");
            why
        }
    }
}

fn columns(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let statement = connection.prepare("SELECT * FROM t").unwrap();
    statement.column_names().map(str::to_owned).collect()
}

#[test]
fn each_json_value_becomes_a_column() {
    for (value, expected) in [
        ("\"text\"", "'text'"),
        ("\"\"", "''"),
        (r#""a\n\"b\" \u00e9 \ud83d\ude00""#, "'a\n\"b\" é 😀'"),
        ("1", "1"),
        ("-0", "0"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "'9223372036854775808'"),
        ("18446744073709551616", "'18446744073709551616'"),
        ("10000000000000000000000", "1e22"),
        ("1.5", "1.5"),
        ("-1.50", "-1.5"),
        ("0.0", "0.0"),
        ("-0.0e5", "-0.0"),
        ("1e3", "1000.0"),
        ("1E+2", "100.0"),
        ("120e-2", "1.2"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("52.516666666666666", "52.516666666666666"),
        (
            "0.1000000000000000055511151231257827",
            "'0.1000000000000000055511151231257827'",
        ),
        ("123456789012345678.5", "'123456789012345678.5'"),
        ("1e308", "1e308"),
        ("1e309", "'1e309'"),
        ("1e-400", "'1e-400'"),
        ("1e99999999999999999999", "'1e99999999999999999999'"),
        ("0e99999999999999999999", "'0e99999999999999999999'"),
        ("true", "1"),
        ("false", "0"),
        ("null", "NULL"),
        ("[1, \"b\",  {}]", "'[1, \"b\",  {}]'"),
        ("{\"z\": 1.10, \"a\": 2}", "'{\"z\": 1.10, \"a\": 2}'"),
    ] {
        assert_eq!(
            inserted(&format!("{{\"id\": 1, \"a\": {value}}}")),
            format!("1|{expected}"),
            "{value}"
        );
    }
}

#[test]
fn says_where_an_answer_is_wrong() {
    let deep = |depth: usize| {
        format!(
            "{{\"id\": 1,\n \"a\": {}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(inserted(&deep(127)).starts_with("1|'[["));
    for (answer, expected) in [
        (
            "",
            "it is no JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("<html>", "it is no JSON: expected value at line 1 column 1"),
        (
            "{\"id\": 1",
            "it is no JSON: EOF while parsing an object at line 1 column 8",
        ),
        (
            "{\"id\": 1}\n{\"id\": 2}",
            "it is no JSON: trailing characters at line 2 column 1",
        ),
        (
            "{\"id\": 01}",
            "it is no JSON: invalid number at line 1 column 9",
        ),
        (
            "[{\"id\": 1},\n {\"id\": nul}]",
            "it is no JSON: expected ident at line 2 column 12",
        ),
        (
            "1",
            "invalid type: integer `1`, expected an object or an array of objects at line 1 column 1",
        ),
        (
            "\"a\"",
            "invalid type: string \"a\", expected an object or an array of objects at line 1 column 3",
        ),
        (
            "null",
            "invalid type: null, expected an object or an array of objects at line 1 column 4",
        ),
        (
            "[1]",
            "invalid type: integer `1`, expected an object at line 1 column 2",
        ),
        (
            "[{\"id\": 1},\n []]",
            "invalid type: sequence, expected an object at line 2 column 1",
        ),
        (
            &deep(128),
            "it is no JSON: recursion limit exceeded at line 2 column 134",
        ),
        (
            "{\"id\": 1, \"a\":\n [1,\n \"\\ud800\"]}",
            "it is no JSON: unexpected end of hex escape at line 3 column 9",
        ),
        (
            "{\"id\": \"\\ud800\"}",
            "it is no JSON: unexpected end of hex escape at line 1 column 15",
        ),
        ("{}", "it has no `id`"),
        ("{\"a\": 1}", "it has no `id`"),
        ("{\"id\": null}", "`id` is null"),
        ("{\"ID\": []}", "`ID` is an array or an object"),
        ("{\"id\": {}}", "`id` is an array or an object"),
        (
            "[{\"id\": 1, \"a\": 2}, {\"a\": 3}]",
            "object 2 of 2: it has no `id`",
        ),
        (
            "{\"id\": 1, \"a\": 1, \"a\": 2}",
            "it has `a` twice, in any case of letters",
        ),
        (
            "{\"id\": 1, \"a\": 1, \"A\": 2}",
            "it has `A` twice, in any case of letters",
        ),
        (
            "{\"id\": 1, \"a\\u0000\": 2}",
            "`a\\u{0}` cannot be a column: it has a NUL",
        ),
    ] {
        assert_eq!(inserted(answer), expected, "{answer}");
    }
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let answers: [&[u8]; 2] = [
        b"{\"id\": 1,\n \"a\": \"\xff\"}",
        b"\xef\xbb\xbf{\"id\": 1}",
    ];
    let results = objects.insert_all(answers.into_iter()).unwrap();
    let expected = "it is no JSON: not UTF-8 at line 2 column 8".to_owned();
    assert_eq!(results, [Err(expected), Ok(1)]);
}

#[test]
fn an_object_replaces_the_row_with_its_key() {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let results = insert(
        &mut objects,
        &[
            r#"{"id": 1, "a": "x", "b": 2}"#,
            r#"[{"id": "1", "a": "text"}, {"id": 2, "c": true}, {"c": 5, "id": 3}]"#,
            "[]",
            r#"{"id": 1, "A": "y"}"#,
        ],
    );
    assert_eq!(results, [Ok(1), Ok(3), Ok(0), Ok(1)]);
    let all = "SELECT * FROM t ORDER BY typeof(id), id";
    let expected = [
        "1|'y'|NULL|NULL",
        "2|NULL|NULL|1",
        "3|NULL|NULL|5",
        "'1'|'text'|NULL|NULL",
    ];
    assert_eq!(rows(&path, all), expected);
    assert_eq!(columns(&path), ["id", "a", "b", "c"]);
    // A later program finds the table, and the key in other letters.
    let mut again = Objects::open(&path, "T", "ID").unwrap();
    assert_eq!(insert(&mut again, &[r#"{"id": 3, "d": 7}"#]), [Ok(1)]);
    assert_eq!(rows(&path, all)[2], "3|NULL|NULL|NULL|7");
}

/// A wrong answer takes nothing with it, neither its first objects nor their columns.
#[test]
fn a_wrong_answer_inserts_nothing_of_itself() {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let many: Vec<String> = (0..2000)
        .map(|number| format!("\"c{number}\": {number}"))
        .collect();
    let many = format!(
        "[{{\"id\": 7, \"z\": 1}}, {{\"id\": 8, {}}}]",
        many.join(", ")
    );
    let results = insert(
        &mut objects,
        &[r#"{"id": 1}"#, &many, r#"{"id": 2, "z": 2}"#],
    );
    let expected =
        "there is no room for the column `c1998`: the table has 2,000, and SQLite allows no more";
    assert_eq!(results, [Ok(1), Err(expected.to_owned()), Ok(1)]);
    assert_eq!(rows(&path, "SELECT * FROM t"), ["1|NULL", "2|2"]);
    assert_eq!(columns(&path), ["id", "z"]);
    let fits: Vec<String> = (0..1998)
        .map(|number| format!("\"c{number}\": {number}"))
        .collect();
    assert_eq!(
        insert(
            &mut objects,
            &[&format!("{{\"id\": 9, {}}}", fits.join(", "))]
        ),
        [Ok(1)]
    );
    assert_eq!(columns(&path).len(), 2000);
}

#[test]
fn names_of_any_characters_are_tables_and_columns() {
    for (table, key) in [
        ("my table", "the key"),
        ("a\"b", "c\"d"),
        ("a'; DROP TABLE t; --", "x\ny"),
        ("таблица", "ключ"),
        ("select", "from"),
        ("t", ""),
    ] {
        let (_folder, path) = folder();
        let mut objects = Objects::open(&path, table, key).unwrap();
        let names = [
            key, "a\"b", "a b", "é", "É", "order", "rowid", "OID", "_rowid_", "x]", "[y", "`z`",
            "excluded",
        ];
        let object =
            names.map(|name| format!("{}: {}", serde_json::json!(name), serde_json::json!(name)));
        let object = format!("{{{}}}", object.join(", "));
        assert_eq!(
            insert(&mut objects, &[&object, &object]),
            [Ok(1), Ok(1)],
            "{table}"
        );
        let found = rows(
            &path,
            &format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")),
        );
        assert_eq!(found, [names.map(|name| format!("'{name}'")).join("|")]);
    }
    // The empty name, and one that is the key elsewhere.
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    assert_eq!(insert(&mut objects, &[r#"{"id": 1, "": 2}"#]), [Ok(1)]);
    assert_eq!(rows(&path, "SELECT * FROM t"), ["1|2"]);
}

#[test]
fn takes_ten_megabytes_of_text() {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let text = "é".repeat(5 << 20);
    let answer = format!("{{\"id\": 1, \"a\": \"{text}\", \"b\": [\"{text}\"]}}");
    assert_eq!(insert(&mut objects, &[&answer]), [Ok(1)]);
    assert_eq!(
        rows(&path, "SELECT length(a), length(b) FROM t"),
        [format!("{}|{}", 5 << 20, (5 << 20) + 4)]
    );
}

/// Tables of the user keep their constraints, their other columns and their other rows.
#[test]
fn respects_the_constraints_of_a_table() {
    let (_folder, path) = folder();
    let create = "CREATE TABLE t (id TEXT PRIMARY KEY, mail UNIQUE, age INTEGER CHECK (age > 0),
        note DEFAULT 'none', twice AS (age * 2)); INSERT INTO t (id, mail, note) VALUES ('a', 'x@y', 'kept')";
    Connection::open(&path)
        .unwrap()
        .execute_batch(create)
        .unwrap();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let results = insert(
        &mut objects,
        &[
            r#"{"id": "b", "mail": "x@y"}"#,
            r#"[{"id": "c"}, {"id": "d", "age": -1}]"#,
            r#"{"id": "e", "twice": 1}"#,
            r#"{"id": "e", "oid": 1}"#,
            r#"{"id": "f", "age": 4}"#,
            r#"{"id": "a", "age": 2}"#,
        ],
    );
    let wrong = |why: &str| Err(why.to_owned());
    assert_eq!(
        results,
        [
            wrong("UNIQUE constraint failed: t.mail"),
            wrong("CHECK constraint failed: age > 0"),
            wrong("cannot INSERT into generated column \"twice\""),
            wrong("cannot add rowid alias: oid"),
            Ok(1),
            Ok(1)
        ]
    );
    let expected = ["'a'|NULL|2|'none'|4", "'f'|NULL|4|'none'|8"];
    assert_eq!(rows(&path, "SELECT * FROM t ORDER BY id"), expected);
}

#[test]
fn refuses_tables_that_are_not_for_objects() {
    let (_folder, path) = folder();
    drop(Database::open_for_run(&path, WAIT).unwrap());
    let create = "CREATE TABLE two (id, b, PRIMARY KEY (id, b));
        CREATE TABLE none (id, b);
        CREATE TABLE partial (id, b); CREATE UNIQUE INDEX p ON partial (id) WHERE b;
        CREATE TABLE other (id PRIMARY KEY);
        CREATE TABLE indexed (id, b); CREATE UNIQUE INDEX i ON indexed (id);
        CREATE TABLE numbered (id INTEGER PRIMARY KEY);
        CREATE VIEW looks AS SELECT 1 AS id";
    Connection::open(&path)
        .unwrap()
        .execute_batch(create)
        .unwrap();
    let unkeyed = "it has no primary key or unique index of `id` alone; choose another table, or the name of its key";
    let of_runs = "it is one of the runs; choose another table";
    for (table, key, expected) in [
        ("runs", "id", of_runs),
        ("QUOTES", "code", of_runs),
        ("places", "id", of_runs),
        ("history", "id", of_runs),
        (
            "sqlite_schema",
            "id",
            "SQLite keeps names that begin with sqlite_ for itself; choose another table",
        ),
        (
            "SQLite_x",
            "id",
            "SQLite keeps names that begin with sqlite_ for itself; choose another table",
        ),
        ("", "id", "its name is empty; choose another table"),
        (
            "a\0b",
            "id",
            "its name or that of the key has a NUL; choose another table",
        ),
        (
            "a",
            "i\0d",
            "its name or that of the key has a NUL; choose another table",
        ),
        ("two", "id", unkeyed),
        ("none", "id", unkeyed),
        ("partial", "id", unkeyed),
        (
            "other",
            "name",
            "it has no column `name`; choose another table, or the name of its key",
        ),
        (
            "Looks",
            "id",
            "there is a view of this name; choose another table",
        ),
        (
            "p",
            "id",
            "there is an index of this name; choose another table",
        ),
    ] {
        let error = Objects::open(&path, table, key).unwrap_err();
        let table = table.replace('\0', "\\u{0}");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot write the table `{table}` of {}: {expected}",
                path.display()
            )
        );
        assert!(error.is_misuse);
    }
    for table in ["indexed", "numbered"] {
        let mut objects = Objects::open(&path, table, "id").unwrap();
        assert_eq!(
            insert(&mut objects, &["{\"id\": 5}", "{\"id\": 5}"]),
            [Ok(1), Ok(1)],
            "{table}"
        );
        assert_eq!(rows(&path, &format!("SELECT id FROM {table}")), ["5"]);
    }
}

#[test]
fn shares_a_file_with_runs_in_any_order() {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    assert_eq!(insert(&mut objects, &["{\"id\": 5}"]), [Ok(1)]);
    let error = Database::open_for_reading(&path).unwrap_err();
    assert!(error.what.ends_with("has no run"), "{error}");
    drop(Database::open_for_run(&path, WAIT).unwrap());
    assert_eq!(insert(&mut objects, &["{\"id\": 6}"]), [Ok(1)]);
    drop(Objects::open(&path, "t", "id").unwrap());
    drop(Database::open_for_reading(&path).unwrap());
    assert_eq!(rows(&path, "SELECT id FROM t"), ["5", "6"]);
    // A file of another program stays one.
    let (_folder, path) = folder();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE x (y)")
        .unwrap();
    drop(Objects::open(&path, "t", "id").unwrap());
    assert_eq!(rows(&path, "SELECT * FROM pragma_application_id"), ["0"]);
    assert!(Database::open_for_run(&path, WAIT).is_err());
}

#[test]
fn reports_a_file_that_cannot_be_written() {
    let (folder, path) = folder();
    let shown = path.display();
    fs::write(&path, "Buy low, sell high.\n".repeat(99)).unwrap();
    let error = Objects::open(&path, "t", "id").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write {shown}: it is no SQLite database; choose another file")
    );
    let error = Objects::open(folder.path(), "t", "id").unwrap_err();
    assert!(error.what.ends_with("it is a folder"), "{error}");
    fs::remove_file(&path).unwrap();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    // The table is gone, then has no key, then the file cannot grow.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("DROP TABLE t").unwrap();
    assert_eq!(insert(&mut objects, &["{\"id\": 5}"]), [Ok(1)]);
    other
        .execute_batch("DROP TABLE t; CREATE TABLE t (id)")
        .unwrap();
    let error = objects
        .insert_all([&b"{\"id\": 5}"[..]].into_iter())
        .unwrap_err();
    assert!(
        error
            .what
            .ends_with("it has no primary key or unique index of `id` alone"),
        "{error}"
    );
    other
        .execute_batch("DROP TABLE t; CREATE TABLE t (id PRIMARY KEY)")
        .unwrap();
    // A trigger that rolls back the whole transaction.
    let trigger = "CREATE TRIGGER r BEFORE INSERT ON t WHEN new.id = 9 BEGIN SELECT RAISE(ROLLBACK, 'no 9'); END";
    other.execute_batch(trigger).unwrap();
    let answers = ["{\"id\": 8}", "{\"id\": 9}", "{\"id\": 10}"].map(str::as_bytes);
    assert!(objects.insert_all(answers.into_iter()).is_err());
    assert_eq!(rows(&path, "SELECT * FROM t"), [""; 0]);
    assert_eq!(insert(&mut objects, &["{\"id\": 8}"]), [Ok(1)]);
}

/// No answer is asked for before the file is locked, and another writer gets it in between.
#[test]
fn locks_the_file_only_while_it_inserts() {
    let (_folder, path) = folder();
    let mut objects = Objects::open(&path, "t", "id").unwrap();
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    other
        .execute_batch("INSERT INTO t VALUES ('between')")
        .unwrap();
    let answers = ["{\"id\": 1}"].into_iter().inspect(|_| {
        assert!(
            other
                .execute_batch("INSERT INTO t VALUES ('within')")
                .is_err()
        );
    });
    assert_eq!(
        objects.insert_all(answers.map(str::as_bytes)).unwrap(),
        [Ok(1)]
    );
    other
        .execute_batch("INSERT INTO t VALUES ('after')")
        .unwrap();
    assert_eq!(
        rows(&path, "SELECT id FROM t"),
        ["1", "'after'", "'between'"]
    );
}

/// Python has a SQLite of its own.
#[test]
fn other_programs_read_the_table() {
    let (folder, path) = folder();
    let mut objects = Objects::open(&path, "my \"table\"", "id").unwrap();
    let answer = r#"[{"id": 1, "a\"b": 0.1, "c": "é😀"}, {"id": "1", "d": [1.10], "c": 12345678901234567890}]"#;
    assert_eq!(insert(&mut objects, &[answer]), [Ok(2)]);
    let program = r#"
import sqlite3
rows = sqlite3.connect("market.sqlite").execute('SELECT * FROM "my ""table"""')
print([column[0] for column in rows.description], ascii(rows.fetchall()))
"#;
    let ran = Command::new("python3")
        .args(["-c", program])
        .current_dir(folder.path())
        .output();
    // A system without Python.
    let Ok(ran) = ran else { return };
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout).trim(),
        r#"['id', 'a"b', 'c', 'd'] [(1, 0.1, '\xe9\U0001f600', None), ('1', None, '12345678901234567890', '[1.10]')]"#,
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
