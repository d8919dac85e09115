//! The proxy for requests, and its part in their errors.

use std::io::ErrorKind;

use ureq::{Proxy, ProxyProtocol};

use crate::http::error::{PageError, Reason, Unresolved};
use crate::http::tls;

/// What stands for the user and the password in a printed address of a proxy.
pub const PLACEHOLDER: &str = "USER:PASSWORD";

/// How requests reach their host: directly or through a proxy.
#[derive(Debug, Clone)]
pub enum ProxyChoice {
    /// Through the proxy in `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, the first that is set, except
    /// to hosts in `NO_PROXY`. Directly if none is set.
    FromEnvironment,
    Direct,
    Through(Proxy),
}

impl ProxyChoice {
    /// Parses an address like `http://host:port` or `socks5://user:password@host:port`.
    pub fn parse(address: &str) -> Result<Self, String> {
        // Of `me:secret/1@host`, the library takes `me` for the host and `secret` for its port.
        let has_odd_port = |proxy: &Proxy| {
            let authority = proxy
                .uri()
                .authority()
                .map_or("", |authority| authority.as_str());
            let host = authority.rsplit('@').next().unwrap_or(authority);
            host.rsplit(']').next().unwrap_or(host).contains(':')
                && proxy.uri().port_u16().is_none()
        };
        let proxy = Proxy::new(address).ok();
        let proxy = proxy.filter(|proxy| address.contains(':') && !has_odd_port(proxy));
        proxy.map(ProxyChoice::Through).ok_or_else(|| {
            "it is not the address of a proxy; expected one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080"
                .to_owned()
        })
    }
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

/// Converts an error of the client, and names the proxy in it if the request went through one. The only
/// connection that the client makes then is the one to the proxy, so the proxy is what cannot be reached.
pub fn name_in_error(proxy: &Proxy, address: &str, error: ureq::Error) -> PageError {
    let is_direct = address.parse().is_ok_and(|uri| proxy.is_no_proxy(&uri));
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
    if is_direct || is_name_of_site {
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
