//! The options that a run and a check share: which site, and how to reach it.

use std::env;

use clap::Args;

use crate::cli::values::{header_value, index_name};
use crate::exit::Exit;
use crate::http::proxy::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::advice::Stop;
use crate::job::settings::Access;
use crate::site::paths::DEFAULT_INDEX;
use crate::source::origin::Origin;

/// The default User-Agent: the program and its version.
const USER_AGENT: &str = concat!("indexrank/", env!("CARGO_PKG_VERSION"));

/// What is fetched: the options that a run and a check share.
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// Fetch pages from SOURCE: live, replica, FILE.warc[.gz] or http[s]://HOST:PORT
    ///
    /// live: https://markets.businessinsider.com, and https://www.cbr.ru for the exchange rates.
    ///
    /// replica: the embedded market, served on 127.0.0.1. It needs no network.
    ///
    /// FILE.warc or FILE.warc.gz: an archive, for example from --record. No request is sent; a page
    /// that the archive lacks counts as failed.
    ///
    /// http[s]://HOST:PORT: a server with the same paths, for example `indexrank serve`.
    ///
    /// The option may be repeated for the archives of all shards of a job.
    #[arg(long, value_name = "SOURCE", default_value = "live", value_parser = Origin::named, help_heading = "Source")]
    from: Vec<Origin>,
    /// Use the index NAME, as written in the site's addresses
    ///
    /// For example 's&p_500', dow_jones, nasdaq_100 or dax. A name with & needs quotes in a shell.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_INDEX, value_parser = index_name, help_heading = "Source")]
    pub index: String,
    /// Go on although shards are missing or damaged, or have recorded different indices
    ///
    /// Companies of a missing shard count as missing (--min-companies). The index is the one that most shards
    /// have. The exit code is 3.
    #[arg(long, help_heading = "Source")]
    allow_missing: bool,
}

/// How requests are sent: the options that a run and a check share. Their order of 100 and more puts
/// them behind the other options of a run.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Neither fetch nor obey robots.txt; only for servers of your own
    #[arg(long, help_heading = "Fetching")]
    ignore_robots: bool,
    /// User-Agent of all requests, in printable ASCII
    ///
    /// The part before the first slash or space selects the rules in robots.txt.
    #[arg(long, value_name = "TEXT", default_value = USER_AGENT, value_parser = header_value, display_order = 100, help_heading = "Fetching")]
    user_agent: String,
    /// Send requests through a proxy [default: from the environment]
    ///
    /// For example http://127.0.0.1:3128 or socks5://user:password@127.0.0.1:1080. The schemes are http,
    /// https, socks4, socks4a, socks5 and socks5h. Without a scheme it is http, without a port 1080, or
    /// 443 for https. In the user and the password, write @ as %40, / as %2F and a space as %20.
    ///
    /// The environment is read as by curl: https_proxy for addresses in https, http_proxy for those in
    /// http, all_proxy for both, and no_proxy for exceptions. The names may also be in upper case; lower
    /// case comes first. An empty variable counts as unset. Unlike curl, indexrank also reads HTTP_PROXY, but
    /// not in a CGI program, where it may come from a request.
    ///
    /// no_proxy lists names like example.com, which includes its subdomains, addresses, networks like
    /// 10.0.0.0/8, or * for all, separated by commas or spaces. A name or an address may end in a port,
    /// like example.com:8080.
    ///
    /// --proxy comes before all of these variables. Requests to this machine use a proxy only if --proxy
    /// names one, and the embedded market never uses one.
    #[arg(long, value_name = "ADDRESS", value_parser = ProxyChoice::parse, display_order = 101, help_heading = "Fetching")]
    proxy: Option<ProxyChoice>,
    /// Trust the certificate authorities in FILE.pem instead of the built-in ones
    ///
    /// Needed, for example, behind a proxy that decrypts https.
    #[arg(long, value_name = "FILE.pem", value_parser = Authorities::read, display_order = 102, help_heading = "Fetching")]
    ca_file: Option<Authorities>,
}

impl ClientArgs {
    /// How pages of the site are requested. An error if there are several sources that cannot be one.
    pub fn into_access(self, site: &SiteArgs) -> Result<Access, Stop> {
        let origin = Origin::of_all(site.from.clone());
        let origin = origin.map_err(|error| Stop::new(Exit::Usage, format!("--from: {error}")))?;
        Ok(Access {
            allow_missing: site.allow_missing,
            ..self.access(origin)
        })
    }

    pub fn access(self, origin: Origin) -> Access {
        Access {
            origin,
            user_agent: self.user_agent,
            proxy: self
                .proxy
                .unwrap_or_else(|| ProxyChoice::of_environment(|name| env::var_os(name))),
            authorities: self.ca_file,
            ignore_robots: self.ignore_robots,
            allow_missing: false,
        }
    }
}
