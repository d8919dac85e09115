//! Redirects: where one leads, whether it may be followed, and the cookies that it asks for.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, percent_encode};
use url::Url;

use crate::http::error::{PageError, Reason};
use crate::site::paths;

/// Maximum number of redirects of one request. robots.txt must be found within five
/// (RFC 9309, 2.3.1.2).
pub const MAX_REDIRECTS: usize = 5;
/// Maximum length of an address in bytes. The send buffer of a connection has 4 KiB, for all headers.
const MAX_ADDRESS: usize = 2 << 10;
/// Maximum length of a `Cookie` header in bytes, for the same reason.
const MAX_COOKIES: usize = 1 << 10;

/// Which redirects a request follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// Those on its host, but not from https to http. A redirect to the same address that sets a cookie
    /// is a check for robots, and a [`Reason::Challenge`].
    OnHost,
    /// Like `OnHost`, but one such check is passed: the cookie is sent back, once.
    OnHostWithCookie,
    /// All, to any host. No cookie is ever sent.
    AnyHost,
}

/// A request and the redirects that it has followed.
#[derive(Debug)]
pub struct Chain {
    policy: Redirects,
    /// The address to request next.
    address: String,
    followed: usize,
    /// The value of the `Cookie` header, once a check has asked for one.
    cookies: Option<HeaderValue>,
    /// Further headers of every request of a download. `None` for a page.
    headers: Option<HeaderMap>,
}

impl Chain {
    pub fn new(address: &str, policy: Redirects) -> Self {
        Chain {
            policy,
            address: address.to_owned(),
            followed: 0,
            cookies: None,
            headers: None,
        }
    }

    /// Makes it a download, if there are headers for its requests.
    pub fn of_download(self, headers: Option<HeaderMap>) -> Self {
        Chain { headers, ..self }
    }

    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().flatten()
    }

    /// Whether its body may take any time: that of a download.
    pub fn may_take_any_time(&self) -> bool {
        self.headers.is_some()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn cookies(&self) -> Option<&HeaderValue> {
        self.cookies.as_ref()
    }

    /// The target of the last redirect, if there was one.
    pub fn reached(self) -> Option<String> {
        (self.followed > 0).then_some(self.address)
    }

    /// Goes to the address that a redirect with these headers leads to, if the policy allows it.
    pub fn follow(&mut self, headers: &HeaderMap) -> Result<(), PageError> {
        if self.followed == MAX_REDIRECTS {
            let detail = format!("more than {MAX_REDIRECTS} redirects");
            return Err(PageError::new(Reason::Redirects, detail));
        }
        let from = Url::parse(&self.address).ok();
        let location = headers.get(LOCATION);
        let target = from
            .as_ref()
            .zip(location)
            .and_then(|(from, location)| target(from, location.as_bytes()));
        let (Some(from), Some(target)) = (from, target) else {
            let detail = "a redirect without a usable address";
            return Err(PageError::new(Reason::Redirects, detail));
        };
        if self.policy != Redirects::AnyHost && !may_follow(&from, &target) {
            let detail = format!("a redirect to another site, {target}");
            return Err(PageError::new(Reason::Offsite, detail));
        }
        if target == from
            && let Some(cookies) = cookies(headers)
        {
            self.pass_check(cookies)?;
        }
        self.address = paths::encoded(target.as_str()).into_owned();
        self.followed += 1;
        Ok(())
    }

    /// Answers a redirect to the same address that sets these cookies.
    fn pass_check(&mut self, cookies: HeaderValue) -> Result<(), PageError> {
        match self.policy {
            Redirects::OnHost => {
                let detail = "a redirect to the same address with a cookie (Set-Cookie), a check that lets only browsers through";
                Err(PageError::new(Reason::Challenge, detail))
            }
            Redirects::OnHostWithCookie if self.cookies.is_some() => {
                let detail = "a redirect to the same address, again after its cookie was sent back";
                Err(PageError::new(Reason::Redirects, detail))
            }
            Redirects::OnHostWithCookie => {
                self.cookies = Some(cookies);
                Ok(())
            }
            Redirects::AnyHost => Ok(()),
        }
    }
}

/// Whether a redirect stays on the host and does not go from https to http.
pub fn may_follow(from: &Url, to: &Url) -> bool {
    let same_origin = from.scheme() == to.scheme() && from.port() == to.port();
    from.host() == to.host() && (same_origin || to.scheme() == "https")
}

/// Whether a status is a redirect that a GET follows (RFC 9110, 15.4).
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

/// The address in the value of `Location`, without a user, a password and a fragment. `None` if it is
/// malformed or too long, or its scheme is not http or https.
///
/// Like browsers, this percent-encodes bytes over 127 as they are, whatever their charset.
pub fn target(from: &Url, location: &[u8]) -> Option<Url> {
    let location = percent_encode(location, &AsciiSet::EMPTY).to_string();
    let mut target = from.join(&location).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    // The server has chosen them, and the client would send them as its own.
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    target.set_fragment(None);
    (target.as_str().len() <= MAX_ADDRESS).then_some(target)
}

/// The `name=value` of every `Set-Cookie`, as a `Cookie` header has them: of several with one name, the
/// last. `None` without any, and if they are too long.
fn cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::new();
    for cookie in headers.get_all(SET_COOKIE) {
        let pair = cookie.as_bytes().split(|byte| *byte == b';').next()?;
        let pair = pair.trim_ascii();
        let Some(end) = memchr::memchr(b'=', pair) else {
            continue;
        };
        let name = pair[..end].trim_ascii_end();
        if !name.is_empty() {
            pairs.retain(|(known, _)| *known != name);
            pairs.push((name, pair[end + 1..].trim_ascii_start()));
        }
    }
    let pairs: Vec<Vec<u8>> = pairs
        .iter()
        .map(|(name, value)| [name, &b"="[..], value].concat())
        .collect();
    let cookies = pairs.join(&b"; "[..]);
    let is_usable = (1..=MAX_COOKIES).contains(&cookies.len());
    is_usable.then(|| HeaderValue::from_bytes(&cookies).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    /// What a redirect to `location` from a page of `http://site.example` leads to.
    fn follow(policy: Redirects, location: &[u8]) -> Result<String, Reason> {
        let mut chain = Chain::new("http://site.example/a/b?c", policy);
        let headers = headers(&[("location", location)]);
        let followed = chain.follow(&headers);
        followed.map_err(|error| error.reason)?;
        Ok(chain.reached().unwrap())
    }

    #[test]
    fn encodes_locations_as_browsers_do() {
        for (location, expected) in [
            ("/münchen".as_bytes(), "/m%C3%BCnchen"),
            (b"/m\xfcnchen", "/m%FCnchen"),
            (b"/m%C3%BCnchen", "/m%C3%BCnchen"),
            (b"/m%c3%bcnchen", "/m%c3%bcnchen"),
            (b"/100%", "/100%"),
            (b"/100%zz%4", "/100%zz%4"),
            ("?q=ü&p=%FC".as_bytes(), "/a/b?q=%C3%BC&p=%FC"),
            (b"/a b\"<>`{}^|", "/a%20b%22%3C%3E%60%7B%7D%5E%7C"),
            (b"/?a b\"<>`{}^|", "/?a%20b%22%3C%3E%60%7B%7D%5E%7C"),
            (b"/a\\b", "/a/b"),
            (b"  d\te ", "/a/de"),
            (b"/d#\xfc", "/d"),
            (b"//site.example/d", "/d"),
            (b"http://me:secret@site.example/d", "/d"),
            ("http://me:sécret@site.example/d".as_bytes(), "/d"),
        ] {
            let expected = format!("http://site.example{expected}");
            let followed = follow(Redirects::OnHost, location);
            assert_eq!(followed, Ok(expected), "{location:?}");
        }
        let long = format!("/{}", "x".repeat(MAX_ADDRESS));
        for location in [
            long.as_bytes(),
            b"http://",
            b"http://a b/",
            b"ftp://site.example/",
            b"mailto:me@site.example",
            b"data:text/plain,x",
            b"http://\xff\xff/",
            b"http://site.example:99999/",
        ] {
            for policy in [Redirects::OnHost, Redirects::AnyHost] {
                let followed = follow(policy, location);
                assert_eq!(followed, Err(Reason::Redirects), "{location:?}");
            }
        }
    }

    #[test]
    fn stays_on_the_host_unless_any_is_allowed() {
        for (location, expected) in [
            ("https://site.example/x", "https://site.example/x"),
            ("http://other.example/x", ""),
            ("http://site.example:8080/x", ""),
            ("//münchen.example/x", ""),
            ("http://site.example.other/x", ""),
        ] {
            for policy in [Redirects::OnHost, Redirects::OnHostWithCookie] {
                let expected = match expected {
                    "" => Err(Reason::Offsite),
                    same => Ok(same.to_owned()),
                };
                assert_eq!(follow(policy, location.as_bytes()), expected, "{location}");
            }
            let anywhere = follow(Redirects::AnyHost, location.as_bytes()).unwrap();
            let expected = match location {
                "//münchen.example/x" => "http://xn--mnchen-3ya.example/x",
                same => same,
            };
            assert_eq!(anywhere, expected);
        }
        let mut chain = Chain::new("https://site.example/", Redirects::OnHost);
        let downgrade = headers(&[("location", b"http://site.example/")]);
        let error = chain.follow(&downgrade).unwrap_err();
        assert_eq!(error.reason, Reason::Offsite);
        let mut chain = Chain::new("https://site.example/", Redirects::AnyHost);
        assert!(chain.follow(&downgrade).is_ok());
    }

    #[test]
    fn follows_five_redirects() {
        let next = headers(&[("location", b"x")]);
        let mut chain = Chain::new("http://site.example/", Redirects::AnyHost);
        for _ in 0..MAX_REDIRECTS {
            chain.follow(&next).unwrap();
        }
        assert_eq!(chain.follow(&next).unwrap_err().reason, Reason::Redirects);
    }

    #[test]
    fn a_redirect_to_itself_with_a_cookie_is_a_check() {
        let with = |location: &'static [u8], cookies: &[&'static [u8]]| {
            let cookies = cookies.iter().map(|cookie| ("set-cookie", *cookie));
            let fields: Vec<_> = [("location", location)]
                .into_iter()
                .chain(cookies)
                .collect();
            headers(&fields)
        };
        let start = |policy| Chain::new("http://bank.example/a?b", policy);
        for location in [
            &b"http://bank.example/a?b"[..],
            b"http://bank.example:80/a?b#c",
            b"//BANK.example/a?b",
            b"/a?b",
            b"?b",
            b"",
        ] {
            let check = with(location, &[b"x=1; Path=/; HttpOnly"]);
            let error = start(Redirects::OnHost).follow(&check).unwrap_err();
            assert_eq!(error.reason, Reason::Challenge, "{location:?}");
            let mut chain = start(Redirects::OnHostWithCookie);
            chain.follow(&check).unwrap();
            assert_eq!(chain.cookies().unwrap(), "x=1");
            let error = chain.follow(&check).unwrap_err();
            assert_eq!(error.reason, Reason::Redirects, "{location:?}");
            let mut chain = start(Redirects::AnyHost);
            chain.follow(&check).unwrap();
            assert_eq!(chain.cookies(), None);
        }
        // Neither another address nor a redirect without a cookie is one.
        for other in [
            with(b"/a?c", &[b"x=1"]),
            with(b"/a?b", &[]),
            with(b"/a?b", &[b"x"]),
        ] {
            for policy in [Redirects::OnHost, Redirects::OnHostWithCookie] {
                let mut chain = start(policy);
                chain.follow(&other).unwrap();
                assert_eq!(chain.cookies(), None);
            }
        }
    }

    #[test]
    fn sends_the_pairs_of_cookies_alone() {
        let long = [b"x=", &[b'y'; MAX_COOKIES][..]].concat();
        for (set, expected) in [
            (&[&b"a=1"[..]][..], Some(&b"a=1"[..])),
            (
                &[b"a=1; Max-Age=60; Secure", b"b=2;Path=/"],
                Some(b"a=1; b=2"),
            ),
            (&[b"a=1", b"b=2", b"a=3"], Some(b"b=2; a=3")),
            (&[b" a = 1 "], Some(b"a=1")),
            (&[b"a=b=c", b"d="], Some(b"a=b=c; d=")),
            (&[b"a=\"q, r\""], Some(b"a=\"q, r\"")),
            (&[b"a=\xfc"], Some(b"a=\xfc")),
            (&[b"", b"=1", b"; a=1", b"name"], None),
            (&[&long], None),
            (&[], None),
        ] {
            let fields: Vec<_> = set.iter().map(|cookie| ("set-cookie", *cookie)).collect();
            let sent = cookies(&headers(&fields));
            assert_eq!(sent.as_ref().map(HeaderValue::as_bytes), expected);
        }
    }
}
