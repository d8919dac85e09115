//! Which proxy requests go through.

use ureq::Proxy;

#[derive(Debug, Clone)]
pub enum ProxyChoice {
    /// The proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, if any.
    FromEnvironment,
    Direct,
    Through(Proxy),
}

impl ProxyChoice {
    /// Parses `http://host:port`, `socks5://user:password@host:port` and the like.
    pub fn parse(address: &str) -> Result<Self, String> {
        let proxy = Proxy::new(address).ok().filter(|_| address.contains(':'));
        proxy.map(ProxyChoice::Through).ok_or_else(|| {
            format!("{address:?} is not the address of a proxy; give one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080")
        })
    }
}
