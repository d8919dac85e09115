//! Command lines to paste into a shell.

use std::ffi::OsString;

use crate::http::proxy;
use crate::site::paths::DEFAULT_INDEX;
use crate::source::origin::Origin;
pub use crate::telemetry::shell_word::quote;

/// The command line that continues a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeCommand {
    pub line: String,
    /// What stands in the line for the user and the password of a proxy.
    pub placeholder: Option<&'static str>,
}

/// The command line of a run with `--resume`, from its arguments. The program comes first. The user and
/// the password in `--proxy` are left out, because a line on a screen or in a log is no place for them.
pub fn resume_command(arguments: impl IntoIterator<Item = OsString>) -> ResumeCommand {
    let mut words: Vec<String> = Vec::new();
    let mut placeholder = None;
    let mut is_proxy = false;
    let mut is_resumed = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let (option, address) = match text.strip_prefix("--proxy=") {
            Some(address) => ("--proxy=", Some(address)),
            None => ("", is_proxy.then_some(&*text)),
        };
        is_resumed |= argument == "--resume";
        is_proxy = argument == "--proxy";
        match address.and_then(proxy::without_credentials) {
            Some(address) => {
                placeholder = Some(proxy::PLACEHOLDER);
                words.push(quote(format!("{option}{address}").as_ref()));
            }
            None => words.push(quote(&argument)),
        }
    }
    if !is_resumed {
        words.push("--resume".to_owned());
    }
    ResumeCommand {
        line: words.join(" "),
        placeholder,
    }
}

/// The command line of a subcommand, or of a run for `""`, with this source and index.
pub fn command(subcommand: &str, origin: &Origin, index: &str) -> String {
    let mut words = vec!["indexrank".to_owned()];
    if !subcommand.is_empty() {
        words.push(subcommand.to_owned());
    }
    match origin {
        Origin::Live => {}
        Origin::Archive(_) | Origin::Shards(_) => {
            for path in origin.archives() {
                words.extend(["--from".to_owned(), quote(path.as_os_str())]);
            }
        }
        origin => words.extend(["--from".to_owned(), quote(origin.to_string().as_ref())]),
    }
    if index != DEFAULT_INDEX {
        words.extend(["--index".to_owned(), quote(index.as_ref())]);
    }
    words.join(" ")
}
