//! The proxy for requests.

use ureq::Proxy;

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
        let proxy = Proxy::new(address).ok().filter(|_| address.contains(':'));
        proxy.map(ProxyChoice::Through).ok_or_else(|| {
            format!("{address:?} is not the address of a proxy; expected one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080")
        })
    }
}
