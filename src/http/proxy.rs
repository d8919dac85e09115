//! Which requests go through a proxy, and the proxy's part in their errors.
//!
//! The variables of the environment are read as curl reads them, with these differences: `HTTP_PROXY` is
//! read too, as by most programs. This machine is always reached directly. In `no_proxy`, an entry may
//! have a port, `*` may be one of several entries, and `*.x` means `.x`. A proxy of a single word, without
//! scheme, port or dot, is an error.
//!
//! The library asks every HTTP proxy for a tunnel (`CONNECT`), even for http. It sends no user to a SOCKS 4
//! proxy.

use std::ffi::OsString;
use std::io::ErrorKind;

use percent_encoding::percent_decode_str;
use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use crate::http::error::{PageError, Reason, Unresolved};
use crate::http::no_proxy::{NoProxy, is_loopback};
use crate::http::tls;

/// What stands for the user and the password in a printed address of a proxy.
pub const PLACEHOLDER: &str = "USER:PASSWORD";

/// The variables with the proxy of a scheme, in the order in which the first that is set counts.
const OF_HTTP: [&str; 4] = ["http_proxy", HTTP_PROXY, "all_proxy", "ALL_PROXY"];
const OF_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const OF_NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];
const HTTP_PROXY: &str = "HTTP_PROXY";
/// Set by a web server for a CGI program. It also sets `HTTP_PROXY` there, to the header `Proxy` of the
/// request, which is the choice of a stranger (<https://httpoxy.org>).
const CGI: &str = "REQUEST_METHOD";

const EXPECTED: &str = "expected one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080";

/// How requests reach their host: directly or through a proxy.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    #[default]
    Direct,
    /// Every request goes through this proxy.
    Through(Proxy),
    /// The scheme and the host of a request decide.
    ByAddress(Variables),
}

/// What the environment says about proxies.
#[derive(Debug, Clone)]
pub struct Variables {
    /// The proxy for addresses in http. `None` if no variable is set.
    http: Option<Result<Proxy, VariableError>>,
    /// The proxy for addresses in https.
    https: Option<Result<Proxy, VariableError>>,
    no_proxy: Result<NoProxy, VariableError>,
}

/// A sentence about a variable that cannot be used. It names the variable but not its value, which may
/// contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or use --proxy")]
pub struct VariableError(String);

impl ProxyChoice {
    /// The proxy at an address like `http://host:port` or `socks5://user:password@host:port`.
    pub fn parse(address: &str) -> Result<Self, String> {
        let proxy = parse_address(address);
        proxy
            .map(ProxyChoice::Through)
            .ok_or_else(|| format!("it is not the address of a proxy; {EXPECTED}"))
    }

    /// The proxies of the environment. `read` returns the value of a variable. A variable that cannot be
    /// used is an error only of the requests that it is for.
    pub fn of_environment(read: impl Fn(&str) -> Option<OsString>) -> Self {
        let http = proxy_in(&OF_HTTP, &read);
        let https = proxy_in(&OF_HTTPS, &read);
        if http.is_none() && https.is_none() {
            return ProxyChoice::Direct;
        }
        let list = first_set(&OF_NO_PROXY, &read).map(|(name, list)| text(name, list));
        let no_proxy = list.unwrap_or(Ok(String::new()));
        ProxyChoice::ByAddress(Variables {
            http,
            https,
            no_proxy: no_proxy.map(|list| NoProxy::parse(&list)),
        })
    }

    /// The proxy for a request to `address`; `None` if it is sent directly. An error if the variable that
    /// decides cannot be used.
    pub fn get(&self, address: &str) -> Result<Option<&Proxy>, VariableError> {
        match self {
            ProxyChoice::Direct => Ok(None),
            ProxyChoice::Through(proxy) => Ok(Some(proxy)),
            ProxyChoice::ByAddress(variables) => variables.get(address),
        }
    }
}

impl Variables {
    fn get(&self, address: &str) -> Result<Option<&Proxy>, VariableError> {
        let Ok(url) = Url::parse(address) else {
            return Ok(None);
        };
        let proxy = match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        };
        let Some(proxy) = proxy.as_ref().filter(|_| !is_loopback(&url)) else {
            return Ok(None);
        };
        let no_proxy = self.no_proxy.as_ref().map_err(VariableError::clone)?;
        if no_proxy.contains(&url) {
            return Ok(None);
        }
        proxy.as_ref().map(Some).map_err(VariableError::clone)
    }
}

/// The first of these variables that is set, and its value. An empty one counts as unset.
fn first_set(
    names: &[&'static str],
    read: impl Fn(&str) -> Option<OsString>,
) -> Option<(&'static str, OsString)> {
    let mut values = names.iter().filter_map(|name| Some((*name, read(name)?)));
    values.find(|(_, value)| !value.is_empty())
}

fn text(name: &str, value: OsString) -> Result<String, VariableError> {
    let sentence = || format!("{name} in the environment is not UTF-8: correct or unset it");
    value.into_string().map_err(|_| VariableError(sentence()))
}

/// The proxy in the first of these variables that is set.
fn proxy_in(
    names: &[&'static str],
    read: impl Fn(&str) -> Option<OsString>,
) -> Option<Result<Proxy, VariableError>> {
    let (name, value) = first_set(names, &read)?;
    if name == HTTP_PROXY && read(CGI).is_some() {
        let sentence = format!(
            "{name} may come from a request, because {CGI} is set as for a CGI program: set http_proxy instead"
        );
        return Some(Err(VariableError(sentence)));
    }
    let proxy = text(name, value).and_then(|value| {
        let sentence = || {
            format!("{name} in the environment is not the address of a proxy; {EXPECTED}: correct or unset it")
        };
        parse_address(&value).ok_or_else(|| VariableError(sentence()))
    });
    Some(proxy)
}

/// Parses the address of a proxy: `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]`, and a path that is ignored.
/// The scheme is http by default, the port 1080, or 443 for https. User and password are
/// percent-decoded.
fn parse_address(address: &str) -> Option<Proxy> {
    if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyProtocol::Http,
        "https" => ProxyProtocol::Https,
        "socks4" | "socks" => ProxyProtocol::Socks4,
        "socks4a" => ProxyProtocol::Socks4A,
        "socks5" => ProxyProtocol::Socks5,
        "socks5h" => ProxyProtocol::Socks5h,
        _ => return None,
    };
    let is_bare = rest.len() == address.len();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A single word is more likely a mistake than the name of a host.
    if is_bare && !authority.contains([':', '.']) {
        return None;
    }
    // Of `me:123/x@host`, the host would be `me`, and errors would show a part of the password.
    if path.contains('@') {
        return None;
    }
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    // The colons of an IPv6 address stand before its bracket.
    let port_at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (host, port) = match port_at {
        Some(at) => (&host[..at], parse_port(&host[at + 1..])?),
        None if protocol == ProxyProtocol::Https => (host, 443),
        None => (host, 1080),
    };
    let host = Host::parse(host).ok()?.to_string();
    if host.starts_with('.') {
        return None;
    }
    let mut proxy = Proxy::builder(protocol).host(&host).port(port);
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        proxy = proxy.username(&percent_decode_str(user).decode_utf8().ok()?);
        if let Some(password) = password {
            proxy = proxy.password(&percent_decode_str(password).decode_utf8().ok()?);
        }
    }
    proxy.build().ok()
}

fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_plain && *port > 0)
}

/// An address with [`PLACEHOLDER`] for its user and password. `None` if it has neither.
///
/// A user without a password is replaced too: some providers give their users a key as the name.
pub fn without_credentials(address: &str) -> Option<String> {
    let start = address.find("://").map_or(0, |at| at + "://".len());
    let authority = address[start..].split(['/', '?', '#']).next()?;
    // A password that is not percent-encoded may contain any of these.
    let credentials = authority
        .rfind('@')
        .or_else(|| address[start..].rfind('@'))?;
    Some(format!(
        "{}{PLACEHOLDER}{}",
        &address[..start],
        &address[start + credentials..]
    ))
}

/// A value that is no address of a proxy, as it may be printed: like [`without_credentials`], and without
/// what may be a password whose `@` is missing or escaped.
pub fn without_secrets(value: &str) -> String {
    let start = value.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = value.split_at(start);
    let host = rest.rsplit(']').next().unwrap_or(rest);
    let is_port = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'/')
    };
    let has_secret = rest.contains("%40") || host.split(':').skip(1).any(|text| !is_port(text));
    match without_credentials(value) {
        Some(address) => address,
        None if has_secret => format!("{scheme}{PLACEHOLDER}"),
        None => value.to_owned(),
    }
}

/// Converts an error of a request that went through a proxy, and names the proxy in it. The only
/// connection that the client makes is the one to the proxy, so the proxy is what cannot be reached.
pub fn page_error(proxy: &Proxy, error: ureq::Error) -> PageError {
    // SOCKS 4 and 5 get an address, so this machine resolves the name of the site.
    let is_name_of_site = match &error {
        ureq::Error::Io(error) => {
            let unresolved = error.get_ref().and_then(|error| error.downcast_ref());
            unresolved.is_some_and(|Unresolved { host, .. }| host != proxy.host())
        }
        _ => false,
    };
    let is_refusal = is_refusal_of_socks(proxy, &error);
    let mut error = PageError::of_client(error);
    if is_name_of_site {
        return error;
    }
    let name = format!("the proxy {}:{}", proxy.host(), proxy.port());
    if is_refusal || error.reason == Reason::Proxy {
        error.reason = Reason::Proxy;
        error.detail = format!("{name} refuses: {}", error.detail);
        return error;
    }
    if error.reason == Reason::Unreachable {
        error.reason = Reason::Proxy;
    }
    error.detail += &format!(", through {name}");
    error
}

/// Whether an I/O error is the library's for an answer of a SOCKS proxy: the system has no part in it.
fn is_refusal_of_socks(proxy: &Proxy, error: &ureq::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, Other, PermissionDenied};
    use ProxyProtocol::{Socks4, Socks4A, Socks5, Socks5h};
    let ureq::Error::Io(error) = error else {
        return false;
    };
    let kinds = [InvalidData, InvalidInput, Other, PermissionDenied];
    matches!(proxy.protocol(), Socks4 | Socks4A | Socks5 | Socks5h)
        && kinds.contains(&error.kind())
        && error.raw_os_error().is_none()
        && tls::describe_io(error).is_none()
}
