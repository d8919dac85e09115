//! Where pages come from: a site over HTTP, or an archive.

pub mod get_with_retries;
pub mod retry;
pub mod robots;
pub mod throttle;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use url::{Host, Url};

use crate::http::client::Client;
use crate::http::page::{MAX_RAW, MAX_RAW_OF_OTHERS, Page, PageError, Reason};
use crate::source::retry::{Attempts, Retries};
use crate::source::robots::Robots;
use crate::source::throttle::{Cause, Gate};
use crate::telemetry::trace::{Lane, Role};
use crate::warc::journal::Journal;
use crate::warc::reader::Archive;

/// The two real sites.
pub const LIVE_PAGES: &str = "https://markets.businessinsider.com";
pub const LIVE_RATES: &str = "https://www.cbr.ru";

/// Where a user wants pages to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The two real sites.
    Live,
    /// The embedded market, served on 127.0.0.1.
    Replica,
    /// An archive recorded earlier.
    Archive(PathBuf),
    /// Any server with the same paths: scheme, host and port, without a slash at the end.
    Site(String),
}

impl FromStr for Origin {
    type Err = String;

    /// Reads `live`, `replica`, the name of an archive that exists, or an address.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_archive = [".warc", ".warc.gz"]
            .iter()
            .any(|ending| text.ends_with(ending));
        match text {
            "live" => Ok(Origin::Live),
            "replica" => Ok(Origin::Replica),
            _ if text.contains("://") => site_address(text).map(Origin::Site),
            _ if is_archive && Path::new(text).is_file() => Ok(Origin::Archive(text.into())),
            _ if is_archive => Err(format!("there is no file {text}; give one that was recorded with --record")),
            _ => Err("give live, replica, a file FILE.warc or FILE.warc.gz, or an address like http://127.0.0.1:8000"
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

/// Scheme, host and port of an address that has nothing else.
fn site_address(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("this is no address ({error}); give one like http://127.0.0.1:8000")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("give an address that begins with http:// or https://".to_owned());
    }
    if url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("give only scheme, host and port, like http://127.0.0.1:8000; the paths are the site's own".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether a site's address is one of this machine.
pub fn is_loopback(address: &str) -> bool {
    match Url::parse(address).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Everything a run asks for goes through here, by its path on the site.
#[derive(Debug)]
pub struct Source {
    pages: Pages,
    pub gate: Gate,
    pub retries: Retries,
    pub robots: Robots,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
enum Pages {
    Site(Site),
    Archive(Archive),
}

#[derive(Debug)]
pub struct Site {
    pub client: Client,
    /// Scheme, host and port of the server of the pages, without a slash at the end.
    pub pages: String,
    /// The same for the server of the exchange rates.
    pub rates: String,
    /// Keeps every page that comes.
    pub journal: Option<Journal>,
}

impl Source {
    /// A site, asked by so many fetchers as fast as it answers, whatever its robots' rules.
    pub fn site(site: Site, fetchers: usize) -> Self {
        Source::of(Pages::Site(site), fetchers)
    }

    pub fn archive(archive: Archive, fetchers: usize) -> Self {
        Source::of(Pages::Archive(archive), fetchers)
    }

    fn of(pages: Pages, fetchers: usize) -> Self {
        Source {
            pages,
            gate: Gate::new(fetchers),
            retries: Retries::default(),
            robots: Robots::ignored(),
        }
    }

    /// The page of a path, if its status is 200. Its body is read into what `buffer` gives.
    pub fn get(
        &self,
        path: &str,
        buffer: impl FnOnce() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Page, PageError> {
        lane.about(path);
        let page = match &self.pages {
            Pages::Site(site) => {
                let journal = site.journal.as_ref();
                match journal.and_then(|journal| journal.take(path, lane.meter)) {
                    Some(page) => page,
                    None => self.ask(site, path, buffer, lane)?,
                }
            }
            Pages::Archive(archive) => {
                let _pass = self.gate.enter(lane)?;
                let asked = Instant::now();
                let answer = archive.get(path, buffer());
                lane.meter.requests.add(1);
                lane.asked(asked, &answer);
                let page = answer?;
                lane.meter.bytes_wire.add(page.body.len() as u64);
                page
            }
        };
        page.of_status_200()
    }

    /// The page of a path as it is now, whatever is kept; nothing from a file, which does not change.
    pub fn look_again(&self, path: &str, lane: &mut Lane) -> Option<Page> {
        let Pages::Site(site) = &self.pages else {
            return None;
        };
        lane.about(path);
        let page = self.ask(site, path, Vec::new, lane);
        page.and_then(Page::of_status_200).ok()
    }

    /// One request to the site, when everybody's turn and the site's wishes allow it.
    fn ask(
        &self,
        site: &Site,
        path: &str,
        buffer: impl FnOnce() -> Vec<u8>,
        lane: &mut Lane,
    ) -> Result<Page, PageError> {
        let role = lane.role();
        self.robots.allow(path, role)?;
        let pass = self.gate.enter(lane)?;
        let asked = Instant::now();
        let most = match role {
            Role::Fetcher | Role::Worker => MAX_RAW,
            _ => MAX_RAW_OF_OTHERS,
        };
        let address = site.address(path);
        let may_ask = |path: &str| {
            self.robots.allow(path, role)?;
            self.gate.enter_again()
        };
        let answer = site.client.get(&address, most, buffer, lane.meter, may_ask);
        lane.asked(asked, &answer);
        drop(pass);
        // What broke off because the run ends says nothing of the page, and may even look whole.
        if self.gate.cause().is_some() {
            return Err(throttle::stopped());
        }
        let page = answer?;
        if let Some(journal) = site.journal.as_ref().filter(|_| role != Role::Recheck) {
            journal.keep(path, &address, &page);
        }
        // The rates are another site's, and a question of interest only is worth no pause.
        let is_for_all = !matches!(role, Role::Rate | Role::Recheck);
        let pause = retry::asked_pause(&page.headers);
        if let (true, 429 | 503, Some(pause)) = (is_for_all, page.status, pause) {
            self.gate.pause(pause, lane);
            let detail = format!(
                "HTTP status {}, to be asked again after {} s",
                page.status,
                pause.as_secs()
            );
            return Err(PageError::new(Reason::Postponed, detail));
        }
        Ok(page)
    }

    /// After which pause a page is asked for once more that failed like this; none if it is not.
    pub fn pause_before_next(
        &self,
        path: &str,
        tried: &mut Attempts,
        error: &PageError,
    ) -> Option<Duration> {
        match self.pages {
            Pages::Site(_) => self.retries.pause(path, tried, error),
            // Its answers stay the same.
            Pages::Archive(_) => None,
        }
    }

    /// Ends the run: nothing more is asked for, what is under way breaks off.
    pub fn halt(&self, cause: Cause) {
        self.gate.close(cause);
        self.break_off();
    }

    /// Breaks off what is under way.
    pub fn break_off(&self) {
        if let Pages::Site(site) = &self.pages {
            site.client.shut_down();
        }
    }

    /// Where a path is asked, as a user would look it up.
    pub fn address(&self, path: &str) -> String {
        match &self.pages {
            Pages::Site(site) => site.address(path),
            Pages::Archive(archive) => format!("{}#{path}", archive.path().display()),
        }
    }

    pub fn as_archive(&self) -> Option<&Archive> {
        match &self.pages {
            Pages::Archive(archive) => Some(archive),
            Pages::Site(_) => None,
        }
    }

    /// What a user should know of it beside its pages.
    pub fn warning(&self) -> Option<String> {
        match &self.pages {
            Pages::Site(site) => site.journal.as_ref()?.failure(),
            Pages::Archive(archive) => archive.damage(),
        }
    }

    /// Hands the journal over, if there is one.
    pub fn into_journal(self) -> Option<Journal> {
        match self.pages {
            Pages::Site(site) => site.journal,
            Pages::Archive(_) => None,
        }
    }
}

impl Site {
    fn address(&self, path: &str) -> String {
        let base = if path.starts_with(RATES_PATH) {
            &self.rates
        } else {
            &self.pages
        };
        format!("{base}{path}")
    }
}

pub const RATES_PATH: &str = "/scripts/XML_daily.asp";

/// Path of one page of an index.
pub fn index_path(index: &str, page: u32) -> String {
    format!("/index/components/{index}?p={page}")
}

/// Path of the page of an index with the companies of one letter.
pub fn letter_path(index: &str, letter: &str) -> String {
    format!("/index/components/{index}/{letter}")
}

/// Path of the Bank of Russia's rates of a day, or of the latest.
pub fn rates_path(date: Option<Date>) -> String {
    match date {
        Some(date) => format!(
            "{RATES_PATH}?date_req={:02}/{:02}/{}",
            date.day(),
            date.month(),
            date.year()
        ),
        None => RATES_PATH.to_owned(),
    }
}
