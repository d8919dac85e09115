//! The option `--from`: the origin of pages.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

/// The origin of pages, as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The two real sites, for pages and for exchange rates.
    Live,
    /// The embedded market, served on 127.0.0.1.
    Replica,
    /// A WARC archive that existed when the option was parsed.
    Archive(PathBuf),
    /// A server with the paths of both sites: its scheme, host and port, without a final slash.
    Site(String),
}

impl Origin {
    /// The file of an archive; `None` for other origins.
    pub fn archive(&self) -> Option<&Path> {
        match self {
            Origin::Archive(path) => Some(path),
            _ => None,
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    /// Parses `live`, `replica`, the path of an existing archive, or an address. The error says what
    /// was expected.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_archive = [".warc", ".warc.gz"]
            .iter()
            .any(|extension| text.ends_with(extension));
        match text {
            "live" => Ok(Origin::Live),
            "replica" => Ok(Origin::Replica),
            _ if text.contains("://") => site_address(text).map(Origin::Site),
            _ if is_archive && Path::new(text).is_file() => Ok(Origin::Archive(text.into())),
            _ if is_archive => Err(format!(
                "there is no file {text}; --record creates such an archive"
            )),
            _ => Err("expected live, replica, a file FILE.warc or FILE.warc.gz, or an address like http://127.0.0.1:8000"
                .to_owned()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Live => f.write_str("live"),
            Origin::Replica => f.write_str("replica"),
            Origin::Archive(path) => path.display().fmt(f),
            Origin::Site(address) => f.write_str(address),
        }
    }
}

/// Scheme, host and port of an address. A path, query, fragment, user or password is an error.
fn site_address(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("not a valid address ({error}); expected one like http://127.0.0.1:8000")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected an address that begins with http:// or https://".to_owned());
    }
    let has_other_parts = url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    if has_other_parts {
        return Err(
            "expected only scheme, host and port, like http://127.0.0.1:8000; indexrank adds the paths"
                .to_owned(),
        );
    }
    Ok(url.origin().ascii_serialization())
}
