//! Checks the order of the rooms: a room imports only from rooms before it, files do not import each
//! other in cycles, and each external crate is used only where `HOMES` lists it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in their order: a room imports only from rooms before it. `""` stands for files directly
/// in `src`.
const ROOMS: [&str; 15] = [
    "site",
    "disk",
    "telemetry",
    "http",
    "warc",
    "source",
    "pipeline",
    "results",
    "store",
    "replica",
    "job",
    "lists",
    "race",
    "cli",
    "",
];

/// Files that any room may import, because they import nothing.
const LEAVES: [&str; 4] = ["exit.rs", "signals.rs", "seeded.rs", "words.rs"];

/// External crates and the only rooms or files that may use them. `replica` appears where it writes a
/// format that another room parses; `race` where a contender uses another library.
const HOMES: [(&str, &[&str]); 31] = [
    ("ureq", &["http"]),
    (
        "rustls",
        &[
            "http",
            "replica",
            "race/contenders/trust.rs",
            "race/contenders",
        ],
    ),
    ("rcgen", &["replica/tls.rs"]),
    ("socket2", &["replica"]),
    ("scraper", &["site"]),
    ("html5ever", &["site"]),
    ("quick_xml", &["site"]),
    ("robotxt", &["site"]),
    ("libdeflater", &["http"]),
    ("brotli_decompressor", &["http"]),
    ("ruzstd", &["http"]),
    ("encoding_rs", &["http", "replica", "lists/count"]),
    ("regex", &["lists/count"]),
    ("bytecount", &["lists/count"]),
    ("httpdate", &["source", "replica"]),
    ("httparse", &["replica", "race/contenders/http1.rs"]),
    ("indicatif", &["telemetry"]),
    ("console", &["telemetry/bars.rs"]),
    ("anstream", &["telemetry/screen.rs"]),
    ("anstyle", &["telemetry/screen.rs"]),
    ("terminal_size", &["telemetry/screen.rs"]),
    ("textwrap", &["telemetry"]),
    ("comfy_table", &["results", "race"]),
    ("rusqlite", &["store"]),
    ("csv", &["results", "replica", "lists", "race"]),
    ("rayon", &["pipeline", "lists", "race/contenders"]),
    (
        "tokio",
        &[
            "race/contenders/async_hyper.rs",
            "race/contenders/async_reqwest.rs",
        ],
    ),
    ("tokio_rustls", &["race/contenders/async_hyper.rs"]),
    ("hyper", &["race/contenders/async_hyper.rs"]),
    ("hyper_util", &["race/contenders/async_hyper.rs"]),
    ("reqwest", &["race/contenders/async_reqwest.rs"]),
];

/// A path in the code that refers to another file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    /// The importing file, relative to `src`.
    from: String,
    /// The line of the path in `from`, counted from 1.
    line: usize,
    /// The imported file, relative to `src`.
    to: String,
}

#[test]
fn rooms_import_only_from_rooms_before_them() {
    let wrong: Vec<String> = arrows(&sources())
        .iter()
        .filter(|Arrow { from, to, .. }| {
            let (from_leaf, to_leaf) = (LEAVES.contains(&&**from), LEAVES.contains(&&**to));
            from_leaf || (!to_leaf && place(from) < place(to))
        })
        .map(|Arrow { from, line, to }| format!("src/{from}:{line} imports src/{to}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "imports of a later room:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn files_do_not_import_each_other_in_cycles() {
    let arrows = arrows(&sources());
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in &arrows {
        targets.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let is_in_cycle = |arrow: &&Arrow| {
        let mut reached = BTreeSet::from([&*arrow.to]);
        let mut to_visit = vec![&*arrow.to];
        while let Some(file) = to_visit.pop() {
            for next in targets.get(file).into_iter().flatten() {
                if reached.insert(next) {
                    to_visit.push(next);
                }
            }
        }
        reached.contains(&*arrow.from)
    };
    let wrong: Vec<String> = arrows
        .iter()
        .filter(is_in_cycle)
        .map(|Arrow { from, line, to }| format!("src/{from}:{line} imports src/{to}"))
        .collect();
    assert!(wrong.is_empty(), "import cycles:\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_used_only_where_listed() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, homes) in HOMES {
            let is_home = homes.iter().any(|home| file.starts_with(home));
            for (number, line) in code.lines().enumerate() {
                if !is_home && uses_crate(line, name) {
                    wrong.push(format!("src/{file}:{} uses {name}", number + 1));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "crates used outside their homes:\n{}",
        wrong.join("\n")
    );
}

/// `arrows` finds each kind of path: `use`, nested groups, `super`, and paths in expressions.
#[test]
fn finds_every_kind_of_path() {
    let code = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b;\npub use b::B;\nmod c;"),
        ("a/b.rs", "use super::c::{self, C};\nuse crate::d;"),
        ("a/c.rs", "fn f() -> crate::d::D { super::super::d::D }"),
        ("d.rs", "use crate::{a::{b, c::C}, e};"),
        (
            "e.rs",
            "// crate::a\nconst E: &str = \"x\"; fn f() { crate::a::f() }",
        ),
    ];
    let code = code.map(|(file, code)| (file.to_owned(), code.to_owned()));
    let mut found: Vec<(String, usize, String)> = arrows(&code)
        .into_iter()
        .map(|arrow| (arrow.from, arrow.line, arrow.to))
        .collect();
    found.sort();
    let expected = [
        ("a/b.rs", 1, "a/c.rs"),
        ("a/b.rs", 2, "d.rs"),
        ("a/c.rs", 1, "d.rs"),
        ("a/mod.rs", 2, "a/b.rs"),
        ("d.rs", 1, "a/b.rs"),
        ("d.rs", 1, "a/c.rs"),
        ("d.rs", 1, "e.rs"),
        ("e.rs", 2, "a/mod.rs"),
    ];
    let expected = expected.map(|(from, line, to)| (from.to_owned(), line, to.to_owned()));
    assert_eq!(found, expected);
}

/// The position of a file's room in the order.
fn place(file: &str) -> usize {
    let room = file.split_once('/').map_or("", |(room, _)| room);
    let place = ROOMS.iter().position(|one| *one == room);
    place.unwrap_or_else(|| panic!("add src/{room} to ROOMS"))
}

/// Whether a line names a crate as the root of a path.
fn uses_crate(line: &str, name: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.')
    })
}

/// Every file in `src` with its code, by its path relative to `src`.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    files.sort();
    assert!(
        files.len() > 50,
        "found only {} source files; is the path wrong?",
        files.len()
    );
    let relative = |file: &Path| {
        let relative = file.strip_prefix(&src).unwrap().to_str().unwrap();
        relative.replace('\\', "/")
    };
    files
        .iter()
        .map(|file| (relative(file), fs::read_to_string(file).unwrap()))
        .collect()
}

/// Finds the arrows of all files. Ignores `mod` declarations and paths within the same file.
fn arrows(sources: &[(String, String)]) -> Vec<Arrow> {
    let files: BTreeSet<&str> = sources.iter().map(|(file, _)| &**file).collect();
    let mut arrows = BTreeSet::new();
    for (file, code) in sources {
        let children = declared_modules(code);
        for (line, path) in paths(code) {
            let Some(target) = resolve(file, &path, &children, &files) else {
                continue;
            };
            if target != *file {
                arrows.insert(Arrow {
                    from: file.clone(),
                    line,
                    to: target,
                });
            }
        }
    }
    arrows.into_iter().collect()
}

/// The names in `mod name;`.
fn declared_modules(code: &str) -> BTreeSet<String> {
    let lines = code.lines().filter_map(|line| {
        let declaration = line.trim().strip_suffix(';')?;
        let (before, name) = declaration.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then(|| name.to_owned())
    });
    lines.collect()
}

/// Every path of two or more segments in the code, with its line. Groups are expanded:
/// `use a::{b, c::D}` gives `a::b` and `a::c::D`.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    // One entry per open brace: the path prefix of a `use` group, `None` for other braces.
    let mut groups: Vec<Option<Vec<String>>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut last_line = 0;
    let mut continues = false;
    for (line, token) in tokens(code) {
        if token == "::" {
            continues = true;
            continue;
        }
        let is_word = token.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_word && continues {
            path.push(token);
        } else {
            let opens_group = token == "{" && continues;
            let prefix = groups.last().cloned().flatten().unwrap_or_default();
            if path.len() > prefix.len().max(1) && !opens_group {
                found.push((last_line, path.clone()));
            }
            match token.as_str() {
                "{" => groups.push(opens_group.then_some(path)),
                "}" => drop(groups.pop()),
                _ => {}
            }
            path = groups.last().cloned().flatten().unwrap_or_default();
            if is_word {
                path.push(token);
            }
        }
        (continues, last_line) = (false, line);
    }
    found
}

/// Splits code into words, `::` and single punctuation characters. Skips comments and the contents of
/// string literals. Returns each token with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (number, line) in without_strings(code).lines().enumerate() {
        let line_code = line.split("//").next().unwrap_or_default();
        let mut rest = line_code.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if rest.starts_with("::") {
                2
            } else if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            tokens.push((number + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Removes string contents and keeps line breaks, so line numbers stay valid.
fn without_strings(code: &str) -> String {
    let mut kept = String::new();
    let mut chars = code.chars().peekable();
    let mut in_string = false;
    let mut in_comment = false;
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                in_comment = false;
                kept.push(c);
            }
            '\\' if in_string => {
                if chars.next() == Some('\n') {
                    kept.push('\n');
                }
            }
            '"' if !in_comment => in_string = !in_string,
            '\'' if !in_string && !in_comment && chars.peek() == Some(&'"') => {
                // The character literal '"'.
                chars.next();
                chars.next();
            }
            '/' if !in_string && chars.peek() == Some(&'/') => {
                in_comment = true;
                kept.push(c);
            }
            _ if in_string => {}
            _ => kept.push(c),
        }
    }
    kept
}

/// The file that a path refers to: the deepest module among its segments. `None` if the path is not
/// one of this crate.
fn resolve(
    from: &str,
    path: &[String],
    children: &BTreeSet<String>,
    files: &BTreeSet<&str>,
) -> Option<String> {
    let mut modules = module_of(from);
    let mut segments = path.iter().map(String::as_str).peekable();
    match segments.next()? {
        "crate" | "indexrank" => modules = Vec::new(),
        "self" => {}
        "super" => {
            modules.pop();
            while segments.next_if_eq(&"super").is_some() {
                modules.pop();
            }
        }
        child if children.contains(child) => modules.push(child),
        _ => return None,
    }
    for segment in segments {
        modules.push(segment);
        if file_of(&modules, files).is_none() {
            modules.pop();
            break;
        }
    }
    file_of(&modules, files)
}

/// The path of a file's module: `["a", "b"]` for `a/b.rs` and `a/b/mod.rs`.
fn module_of(file: &str) -> Vec<&str> {
    let mut modules: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(modules.last(), Some(&("mod" | "lib" | "main"))) {
        modules.pop();
    }
    modules
}

/// The file of a module, if there is one.
fn file_of(modules: &[&str], files: &BTreeSet<&str>) -> Option<String> {
    let path = modules.join("/");
    let candidates = match modules {
        [] => vec!["lib.rs".to_owned()],
        ["bin", "compare"] => vec!["race/main.rs".to_owned()],
        _ => vec![format!("{path}.rs"), format!("{path}/mod.rs")],
    };
    candidates.into_iter().find(|file| files.contains(&**file))
}
