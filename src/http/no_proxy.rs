//! The variable `no_proxy`: hosts that are reached directly.

use std::net::IpAddr;

use url::{Host, Url};

/// The hosts of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// The only port that the entry is for, if it names one.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// A name in lower case, and all names below it.
    Named(String),
    /// The addresses whose first `bits` bits are those of `address`.
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl NoProxy {
    /// Parses entries separated by commas or white space: a name, an address, a network like
    /// `10.0.0.0/8`, or `*`. An entry may end in a port, `example.com:8080`. IPv6 addresses may have
    /// brackets, and before a port they need them. An entry of any other form matches no host.
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        NoProxy(entries.filter_map(Entry::parse).collect())
    }

    /// Whether the host and the port of an address are in the list.
    pub fn contains(&self, url: &Url) -> bool {
        let (host, port) = (url.host(), url.port_or_known_default());
        self.0.iter().any(|entry| {
            let is_for_port = entry.port.is_none() || entry.port == port;
            is_for_port && host.as_ref().is_some_and(|host| entry.hosts.contain(host))
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(hosts) = Hosts::parse(text) {
            return Some(Entry { hosts, port: None });
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(Entry {
            hosts: Hosts::parse(host)?,
            port: Some(port.parse().ok()?),
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Hosts::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address = parse_address(address)?;
            let bits = bits.parse().ok()?;
            return Some(Hosts::Network { address, bits });
        }
        if let Some(address) = parse_address(text) {
            let bits = width(address);
            return Some(Hosts::Network { address, bits });
        }
        // `*.example.com` and `.example.com` mean what `example.com` means.
        let name = text.strip_prefix('*').filter(|name| name.starts_with('.'));
        let name = name.unwrap_or(text).trim_matches('.');
        // The parser converts to lower case and to Punycode, as in the address of a request.
        match Host::parse(name) {
            Ok(Host::Domain(name)) => Some(Hosts::Named(name)),
            _ => None,
        }
    }

    fn contain(&self, host: &Host<&str>) -> bool {
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        };
        match (self, host) {
            (Hosts::All, _) => true,
            (Hosts::Named(name), Host::Domain(host)) => {
                let host = host.strip_suffix('.').unwrap_or(host);
                let rest = host.strip_suffix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Hosts::Network { address: net, bits }, _) => {
                address.is_some_and(|address| is_in_network(address, *net, *bits))
            }
            _ => false,
        }
    }
}

/// An address, with or without the brackets of IPv6.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// The number of bits of an address.
fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn is_in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(bits)
}

/// Whether the host of an address is `localhost` or a loopback address.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => matches!(name, "localhost" | "localhost."),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
