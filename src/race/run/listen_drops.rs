//! Connections that the kernel has dropped because a server did not accept them in time.
//!
//! A client whose connection is dropped tries again after a second, so its times say nothing about it.
//! Linux counts for all servers of a network namespace together: drops of another program count too.

use std::fs;

const FILE: &str = "/proc/net/netstat";

/// The number since the start of the system. `None` on systems without such a file.
pub fn so_far() -> Option<u64> {
    parse(&fs::read_to_string(FILE).ok()?)
}

/// Reads `ListenDrops` of `TcpExt`, which includes `ListenOverflows`. Each group has two lines, one with
/// names and one with values (proc_net_tcp(5)).
fn parse(netstat: &str) -> Option<u64> {
    let mut group = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (group.next()?, group.next()?);
    let mut counters = names.split(' ').zip(values.split(' '));
    let (_, value) = counters.find(|(name, _)| *name == "ListenDrops")?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_counter_of_linux() {
        let ip = "IpExt: InNoRoutes ListenDrops\nIpExt: 0 9\n";
        for (tcp, expected) in [
            (
                "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits\nTcpExt: 0 275 280 1\n",
                Some(280),
            ),
            (
                "TcpExt: ListenDrops\nTcpExt: 18446744073709551615\n",
                Some(u64::MAX),
            ),
            ("TcpExt: ListenOverflows\nTcpExt: 275\n", None),
            ("TcpExt: ListenOverflows ListenDrops\nTcpExt: 275\n", None),
            ("TcpExt: ListenDrops\nTcpExt: many\n", None),
            ("TcpExt: ListenDrops\n", None),
            ("", None),
        ] {
            assert_eq!(parse(&format!("{ip}{tcp}")), expected, "{tcp}");
            assert_eq!(parse(&format!("{tcp}{ip}")), expected, "{tcp}");
        }
    }
}
