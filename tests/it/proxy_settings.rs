//! Proxies: the variables of the environment, their exceptions, and the addresses.

use std::ffi::OsString;

use indexrank::http::proxy::ProxyChoice;

/// Variables like `http_proxy=a:1 no_proxy=x`. A `+` in a value is a space.
fn variables(text: &str) -> impl Fn(&str) -> Option<OsString> {
    move |name| {
        let mut pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(one, _)| *one == name)?;
        Some(value.replace('+', " ").into())
    }
}

/// The host and port of the proxy for an address, `-` without a proxy, or why there is none.
fn chosen(choice: &ProxyChoice, address: &str) -> String {
    match choice.get(address) {
        Ok(Some(proxy)) => format!("{}:{}", proxy.host(), proxy.port()),
        Ok(None) => "-".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// All rows but those with `HTTP_PROXY` are as curl 7.88 has them.
#[test]
fn the_variable_of_the_scheme_comes_before_the_one_for_all() {
    for (set, http, https) in [
        ("", "-", "-"),
        ("http_proxy=a:1", "a:1", "-"),
        ("HTTP_PROXY=a:1", "a:1", "-"),
        ("https_proxy=a:1", "-", "a:1"),
        ("HTTPS_PROXY=a:1", "-", "a:1"),
        ("all_proxy=a:1", "a:1", "a:1"),
        ("ALL_PROXY=a:1", "a:1", "a:1"),
        ("http_proxy=a:1 HTTP_PROXY=b:2", "a:1", "-"),
        ("https_proxy=a:1 HTTPS_PROXY=b:2", "-", "a:1"),
        ("all_proxy=a:1 ALL_PROXY=b:2", "a:1", "a:1"),
        ("http_proxy=a:1 all_proxy=b:2", "a:1", "b:2"),
        ("HTTP_PROXY=a:1 all_proxy=b:2", "a:1", "b:2"),
        ("HTTPS_PROXY=a:1 all_proxy=b:2", "b:2", "a:1"),
        ("http_proxy=a:1 https_proxy=c:3 ALL_PROXY=b:2", "a:1", "c:3"),
        // An empty variable counts as unset.
        ("http_proxy= ALL_PROXY=b:2", "b:2", "b:2"),
        ("http_proxy= HTTP_PROXY=b:2", "b:2", "-"),
        ("https_proxy= HTTPS_PROXY=b:2", "-", "b:2"),
        ("http_proxy= https_proxy= all_proxy= ALL_PROXY=", "-", "-"),
        // Another program's variable.
        ("ftp_proxy=a:1 Http_Proxy=a:1 proxy=a:1", "-", "-"),
        // The list of exceptions, in lower case first.
        ("all_proxy=a:1 no_proxy=x.example", "-", "-"),
        ("all_proxy=a:1 NO_PROXY=x.example", "-", "-"),
        (
            "all_proxy=a:1 no_proxy=y.example NO_PROXY=x.example",
            "a:1",
            "a:1",
        ),
        (
            "all_proxy=a:1 no_proxy=x.example NO_PROXY=y.example",
            "-",
            "-",
        ),
        ("all_proxy=a:1 no_proxy= NO_PROXY=x.example", "-", "-"),
        ("no_proxy=y.example", "-", "-"),
        (
            "http_proxy=a:1 https_proxy=b:2 no_proxy=x.example:443",
            "a:1",
            "-",
        ),
        (
            "http_proxy=a:1 https_proxy=b:2 no_proxy=x.example:80",
            "-",
            "b:2",
        ),
        // A web server passes the header `Proxy` of a request to a CGI program as `HTTP_PROXY`.
        (
            "REQUEST_METHOD=GET http_proxy=a:1 HTTP_PROXY=b:2",
            "a:1",
            "-",
        ),
        ("REQUEST_METHOD=GET HTTPS_PROXY=a:1", "-", "a:1"),
        (
            "REQUEST_METHOD=GET HTTP_PROXY=b:2",
            "HTTP_PROXY may come from a request, because REQUEST_METHOD is set as for a CGI program: set http_proxy instead, or use --proxy",
            "-",
        ),
        // An unusable value never means another variable or none.
        (
            "http_proxy=foo://b:1 ALL_PROXY=a:1",
            "http_proxy in the environment is not the address of a proxy; expected one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080: correct or unset it, or use --proxy",
            "a:1",
        ),
    ] {
        let choice = ProxyChoice::of_environment(variables(set));
        let got =
            ["http", "https"].map(|scheme| chosen(&choice, &format!("{scheme}://x.example/y")));
        assert_eq!(got, [http, https], "{set}");
        // This machine needs no proxy.
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9:8000",
            "[::1]:80",
            "LOCALHOST.",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(chosen(&choice, &format!("http://{host}/")), "-", "{set}");
        }
    }
}

#[test]
fn no_proxy_lists_names_addresses_networks_and_ports() {
    const SITE: &str = "https://www.x.example";
    for (list, address, is_direct) in [
        ("*", SITE, true),
        ("+*+", SITE, true),
        ("a,*", SITE, true),
        ("www.x.example", SITE, true),
        ("x.example", SITE, true),
        (".x.example", SITE, true),
        ("*.x.example", SITE, true),
        ("example", SITE, true),
        (".example", SITE, true),
        ("X.Example", SITE, true),
        ("x.example.", SITE, true),
        (".x.example.", SITE, true),
        ("x.example", "https://WWW.X.EXAMPLE./path?query", true),
        ("x.example", "https://x.example", true),
        (".x.example", "https://x.example", true),
        ("*.x.example", "https://x.example", true),
        ("www.x.example", "https://x.example", false),
        ("x.example", "https://notx.example", false),
        ("x.example", "https://x.example.org", false),
        ("*x.example", "https://notx.example", false),
        ("*x.example", SITE, false),
        ("ww.x.example", SITE, false),
        ("", SITE, false),
        (".", SITE, false),
        ("..", SITE, false),
        (",,++,", SITE, false),
        ("https://x.example", SITE, false),
        // Separators.
        ("a,x.example", SITE, true),
        ("a,+x.example", SITE, true),
        ("a+x.example", SITE, true),
        ("a,,x.example,", SITE, true),
        ("a+,+b+x.example+", SITE, true),
        ("a\tx.example\n", SITE, true),
        ("a;x.example", SITE, false),
        // Ports.
        ("x.example:443", SITE, true),
        (".x.example:443", SITE, true),
        ("*:443", SITE, true),
        ("x.example:80", SITE, false),
        ("*:80", SITE, false),
        ("x.example:443", "http://x.example", false),
        ("x.example:80", "http://x.example", true),
        ("x.example:8080", "http://x.example:8080", true),
        ("x.example:8080", "http://x.example:8081", false),
        ("x.example:", SITE, false),
        ("x.example:port", SITE, false),
        ("x.example:70000", SITE, false),
        // Addresses and networks.
        ("10.1.2.3", "http://10.1.2.3:8000", true),
        ("10.1.2.4", "http://10.1.2.3:8000", false),
        ("10.1.2.3:8000", "http://10.1.2.3:8000", true),
        ("10.1.2.3:8001", "http://10.1.2.3:8000", false),
        ("10.0.0.0/8", "http://10.1.2.3", true),
        ("10.255.0.0/8", "http://10.1.2.3", true),
        ("11.0.0.0/8", "http://10.1.2.3", false),
        ("10.1.2.2/31", "http://10.1.2.3", true),
        ("10.1.2.4/31", "http://10.1.2.3", false),
        ("10.1.2.3/32", "http://10.1.2.3", true),
        ("0.0.0.0/0", "http://10.1.2.3", true),
        ("10.1.2.3/33", "http://10.1.2.3", false),
        ("10.0.0.0/", "http://10.1.2.3", false),
        ("10.0.0.0/-8", "http://10.1.2.3", false),
        ("10.0.0.0/x", "http://10.1.2.3", false),
        ("10/8", "http://10.1.2.3", false),
        ("2.3", "http://10.1.2.3", false),
        (".1.2.3", "http://10.1.2.3", false),
        ("::/0", "http://10.1.2.3", false),
        ("10.0.0.0/8", SITE, false),
        ("0.0.0.0/0", SITE, false),
        ("2001:db8::1", "http://[2001:db8::1]", true),
        ("[2001:db8::1]", "http://[2001:db8::1]", true),
        ("2001:DB8:0:0::1", "http://[2001:db8::1]", true),
        ("2001:db8::2", "http://[2001:db8::1]", false),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080", true),
        ("[2001:db8::1]:8081", "http://[2001:db8::1]:8080", false),
        ("2001:db8::/32", "http://[2001:db8:9::1]", true),
        ("[2001:db8::]/32", "http://[2001:db8:9::1]", true),
        ("2001:db9::/32", "http://[2001:db8:9::1]", false),
        ("2001:db8::1/128", "http://[2001:db8::1]", true),
        ("2001:db8::1/129", "http://[2001:db8::1]", false),
        ("::/0", "http://[2001:db8::1]", true),
        ("0.0.0.0/0", "http://[2001:db8::1]", false),
        // Names with umlauts.
        ("bücher.example", "http://www.xn--bcher-kva.example", true),
        ("xn--bcher-kva.example", "http://bücher.example", true),
    ] {
        let set = format!("all_proxy=a:1 no_proxy={list}");
        let choice = ProxyChoice::of_environment(variables(&set));
        let expected = if is_direct { "-" } else { "a:1" };
        assert_eq!(chosen(&choice, address), expected, "{list:?} {address}");
        // The option is for every request.
        let option = ProxyChoice::parse("b:2").unwrap();
        assert_eq!(chosen(&option, address), "b:2");
    }
}

#[test]
fn parses_the_addresses_of_proxies() {
    for (address, expected) in [
        ("http://p.example:3128", "HTTP p.example:3128"),
        ("p.example:3128", "HTTP p.example:3128"),
        ("HTTP://P.Example:3128/", "HTTP p.example:3128"),
        ("http://p.example", "HTTP p.example:1080"),
        ("p.example", "HTTP p.example:1080"),
        ("http://proxy", "HTTP proxy:1080"),
        ("https://p.example", "HTTPS p.example:443"),
        ("https://p.example:8443", "HTTPS p.example:8443"),
        ("socks://p.example", "SOCKS4 p.example:1080"),
        ("socks4://p.example", "SOCKS4 p.example:1080"),
        ("socks4a://p.example:9", "SOCKS4a p.example:9"),
        ("socks5://p.example", "SOCKS5 p.example:1080"),
        ("Socks5h://p.example", "SOCKS5h p.example:1080"),
        ("127.0.0.1:3128", "HTTP 127.0.0.1:3128"),
        ("[::1]:3128", "HTTP [::1]:3128"),
        ("socks5://[::1]", "SOCKS5 [::1]:1080"),
        (
            "http://p.example:3128/path?query#part",
            "HTTP p.example:3128",
        ),
        ("http://p.example:3128?query", "HTTP p.example:3128"),
        ("http://bücher.example:1", "HTTP xn--bcher-kva.example:1"),
        // Users and passwords.
        ("http://me:pass@p.example:1", "HTTP p.example:1 me pass"),
        ("me:pass@p.example:1", "HTTP p.example:1 me pass"),
        ("me:pass@p.example", "HTTP p.example:1080 me pass"),
        ("http://me@p.example:1", "HTTP p.example:1 me"),
        ("http://me:@p.example:1", "HTTP p.example:1 me "),
        ("http://:pass@p.example:1", "HTTP p.example:1  pass"),
        (
            "http://me%40x:p%2Fa%20s%25@p.example:1",
            "HTTP p.example:1 me@x p/a s%",
        ),
        ("http://me:p@ss:w@p.example:1", "HTTP p.example:1 me p@ss:w"),
        (
            "http://me:a+b^\"ü@p.example:1",
            "HTTP p.example:1 me a+b^\"ü",
        ),
        ("socks5://me:pass@[::1]:1", "SOCKS5 [::1]:1 me pass"),
        // What is not the address of a proxy.
        ("", "-"),
        ("proxy", "-"),
        ("on", "-"),
        ("::", "-"),
        (":", "-"),
        (".", "-"),
        ("..:1", "-"),
        (":3128", "-"),
        ("http://", "-"),
        ("http:///", "-"),
        ("http://:3128", "-"),
        ("://p.example:1", "-"),
        ("foo://p.example:1", "-"),
        ("ftp://p.example:1", "-"),
        ("direct://", "-"),
        ("http:p.example:1", "-"),
        ("http:/p.example:1", "-"),
        ("http//p.example:1", "-"),
        ("http://http://p.example:1", "-"),
        ("p.example:", "-"),
        ("p.example:port", "-"),
        ("p.example:0", "-"),
        ("p.example:-1", "-"),
        ("p.example:+1", "-"),
        ("p.example:65536", "-"),
        ("p.example:31 28", "-"),
        (" http://p.example:1", "-"),
        ("http://p.example:1\n", "-"),
        ("http://p.example:1\r", "-"),
        ("\"http://p.example:1\"", "-"),
        ("http://p ex.example:1", "-"),
        ("http://p<ex.example:1", "-"),
        ("http://[::1:1", "-"),
        ("http://[::g]:1", "-"),
        ("::1", "-"),
        ("http://me:pa ss@p.example:1", "-"),
        ("http://me:pass@", "-"),
        ("http://me:1/ss@p.example:1", "-"),
        ("http://me:1?ss@p.example:1", "-"),
        ("http://me:1#ss@p.example:1", "-"),
        ("http://me:%ff@p.example:1", "-"),
    ] {
        let got = match ProxyChoice::parse(address) {
            Ok(ProxyChoice::Through(proxy)) => {
                let credentials = [proxy.username(), proxy.password()].into_iter().flatten();
                let credentials: String = credentials.map(|text| format!(" {text}")).collect();
                format!(
                    "{} {}:{}{credentials}",
                    proxy.protocol(),
                    proxy.host(),
                    proxy.port()
                )
            }
            Ok(other) => panic!("{other:?}"),
            Err(why) => {
                assert!(
                    why.starts_with("it is not the address of a proxy; "),
                    "{why}"
                );
                "-".to_owned()
            }
        };
        assert_eq!(got, expected, "{address:?}");
        // A variable has the same form.
        let choice = ProxyChoice::of_environment(|name| {
            (name == "http_proxy").then(|| address.to_owned().into())
        });
        let from_variable = chosen(&choice, "http://x.example");
        match expected.split(' ').nth(1) {
            Some(host) => assert_eq!(from_variable, host),
            None if address.is_empty() => assert_eq!(from_variable, "-"),
            None => assert!(
                from_variable.starts_with("http_proxy in the environment is not"),
                "{from_variable}"
            ),
        }
    }
}
