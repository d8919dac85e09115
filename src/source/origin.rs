//! The option `--from`: the origin of pages.

use std::fmt;
use std::path::PathBuf;
use std::slice;
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
    /// Several of them: the shards of one job.
    Shards(Vec<PathBuf>),
    /// A server with the paths of both sites: its scheme, host and port, without a final slash.
    Site(String),
}

impl Origin {
    /// Parses like [`from_str`](Self::from_str), but the archive need not exist.
    pub fn named(text: &str) -> Result<Self, String> {
        let is_archive = [".warc", ".warc.gz"]
            .iter()
            .any(|extension| text.ends_with(extension));
        match text {
            "live" => Ok(Origin::Live),
            "replica" => Ok(Origin::Replica),
            _ if text.contains("://") => site_address(text).map(Origin::Site),
            _ if is_archive => Ok(Origin::Archive(text.into())),
            _ => Err("expected live, replica, a file FILE.warc or FILE.warc.gz, or an address like http://127.0.0.1:8000"
                .to_owned()),
        }
    }

    /// Fails if it is one archive that does not exist.
    fn existing(self) -> Result<Self, String> {
        match &self {
            Origin::Archive(path) if !path.exists() => Err(format!(
                "there is no file {}; --record creates such an archive",
                path.display()
            )),
            Origin::Archive(path) if !path.is_file() => Err(format!(
                "{} is not a plain file; --record creates an archive",
                path.display()
            )),
            _ => Ok(self),
        }
    }

    /// What several options name together. More than one origin must be archives, which need not all exist;
    /// the error says so.
    pub fn of_all(origins: Vec<Origin>) -> Result<Self, String> {
        let [only] = &*origins else {
            let archive = |origin: Origin| match origin {
                Origin::Archive(path) => Ok(path),
                other => Err(format!(
                    "several sources must be the archives of one job's shards, and {other} is no archive: give it alone"
                )),
            };
            let archives = origins.into_iter().map(archive);
            return archives.collect::<Result<_, _>>().map(Origin::Shards);
        };
        only.clone().existing()
    }

    /// The files of archives; none for other origins.
    pub fn archives(&self) -> &[PathBuf] {
        match self {
            Origin::Archive(path) => slice::from_ref(path),
            Origin::Shards(paths) => paths,
            _ => &[],
        }
    }

    /// Whether pages come from archives, so that no request is sent.
    pub fn is_archived(&self) -> bool {
        !self.archives().is_empty()
    }
}

impl FromStr for Origin {
    type Err = String;

    /// Parses `live`, `replica`, the path of an existing archive, or an address. The error says what
    /// was expected.
    fn from_str(text: &str) -> Result<Self, String> {
        Origin::named(text)?.existing()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Live => f.write_str("live"),
            Origin::Replica => f.write_str("replica"),
            Origin::Archive(path) => path.display().fmt(f),
            Origin::Shards(paths) => {
                let names: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                f.write_str(&names.join(" "))
            }
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
