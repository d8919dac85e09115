//! What block pages contain, by the product that sends them. A text of another block page goes in here.

/// A text that shows a block page, in lower case, and the product that uses it, if it is known.
pub type Known = (&'static str, Option<&'static str>);

const ANUBIS: Option<&str> = Some("Anubis");
const AWS_WAF: Option<&str> = Some("AWS WAF");
const AKAMAI: Option<&str> = Some("Akamai");
const CLOUDFLARE: Option<&str> = Some("Cloudflare");
const DATADOME: Option<&str> = Some("DataDome");
const DDOS_GUARD: Option<&str> = Some("DDoS-Guard");
const F5: Option<&str> = Some("F5");
const IMPERVA: Option<&str> = Some("Imperva");
const KASADA: Option<&str> = Some("Kasada");
const PERIMETERX: Option<&str> = Some("PerimeterX");
const QUEUE: Option<&str> = Some("a waiting room");
const RADWARE: Option<&str> = Some("Radware");
const SUCURI: Option<&str> = Some("Sucuri");
const VERCEL: Option<&str> = Some("Vercel");

/// Headers that only responses of a block have.
pub const HEADERS: [Known; 4] = [
    ("cf-mitigated", CLOUDFLARE),
    ("x-amzn-waf-action", AWS_WAF),
    ("x-sucuri-block", SUCURI),
    ("x-vercel-mitigated", VERCEL),
];

/// Phrases of titles.
pub const TITLES: [Known; 51] = [
    ("just a moment", CLOUDFLARE),
    ("attention required!", CLOUDFLARE),
    ("please wait... | cloudflare", CLOUDFLARE),
    ("used cloudflare to restrict access", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("ddos protection", None),
    ("pardon our interruption", PERIMETERX),
    ("access to this page has been denied", PERIMETERX),
    ("incapsula", IMPERVA),
    ("request unsuccessful", IMPERVA),
    ("human verification", AWS_WAF),
    ("request rejected", F5),
    ("sucuri website firewall", SUCURI),
    ("radware bot manager", RADWARE),
    ("vercel security checkpoint", VERCEL),
    ("making sure you're not a bot", ANUBIS),
    ("you are now in line", QUEUE),
    ("you are in line", QUEUE),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("virtual queue", QUEUE),
    ("captcha", None),
    ("access denied", None),
    ("access restricted", None),
    ("blocked", None),
    ("forbidden", None),
    ("unauthorized", None),
    ("too many requests", None),
    ("rate limit", None),
    ("rate limited", None),
    ("unusual traffic", None),
    ("are you a robot", None),
    ("are you human", None),
    ("not a robot", None),
    ("robot check", None),
    ("bot protection", None),
    ("security check", None),
    ("security challenge", None),
    ("checking your browser", None),
    ("one moment, please", None),
    ("verify you are", None),
    ("before you continue", None),
    ("consent", None),
    ("sign in", None),
    ("log in", None),
    ("login", None),
    ("subscribe to read", None),
    ("your privacy", None),
    ("privacy settings", None),
    ("datenschutz", None),
    ("limited by the site owner", None),
];

/// Texts that only block pages have. Of the scripts that the same products add to the pages they let
/// through, none is here.
pub const TEXTS: [Known; 19] = [
    ("pardon our interruption", PERIMETERX),
    ("you are now in line", QUEUE),
    ("sorry, you have been blocked", CLOUDFLARE),
    ("enable javascript and cookies to continue", CLOUDFLARE),
    ("checking your browser before accessing", None),
    ("to confirm you are a human", PERIMETERX),
    ("estimated wait time", QUEUE),
    ("_cf_chl_opt", CLOUDFLARE),
    ("/orchestrate/chl_page/", CLOUDFLARE),
    ("cf-challenge", CLOUDFLARE),
    ("incapsula incident id", IMPERVA),
    ("id=\"main-iframe\" src=\"/_incapsula_resource", IMPERVA),
    ("captcha-delivery.com", DATADOME),
    ("px-captcha", PERIMETERX),
    ("errors.edgesuite.net", AKAMAI),
    ("sec-if-cpt-container", AKAMAI),
    ("bm-verify=", AKAMAI),
    ("gokuprops", AWS_WAF),
    ("check.ddos-guard.net", DDOS_GUARD),
];

/// Words of small block pages.
pub const WORDS: [Known; 43] = [
    ("just a moment", CLOUDFLARE),
    ("challenge-platform", CLOUDFLARE),
    ("_incapsula_resource", IMPERVA),
    ("ddos-guard", DDOS_GUARD),
    ("perimeterx", PERIMETERX),
    ("_pxappid", PERIMETERX),
    ("datadome", DATADOME),
    ("awswaf", AWS_WAF),
    ("window.kpsdk", KASADA),
    ("perfdrive.com", RADWARE),
    ("the requested url was rejected", F5),
    ("sucuri", SUCURI),
    ("waiting room", QUEUE),
    ("queue-it", QUEUE),
    ("in the queue", QUEUE),
    ("captcha", None),
    ("turnstile", CLOUDFLARE),
    ("arkoselabs", None),
    ("geetest", None),
    ("verify you are", None),
    ("verify that you are", None),
    ("are you a robot", None),
    ("not a robot", None),
    ("not a bot", None),
    ("unusual traffic", None),
    ("too many requests", None),
    ("rate limit", None),
    ("automated access", None),
    ("enable javascript", None),
    ("javascript is disabled", None),
    ("enable cookies", None),
    ("before you continue", None),
    ("your privacy", None),
    ("access denied", None),
    ("has been blocked", None),
    ("have been blocked", None),
    ("sign in to continue", None),
    ("log in to continue", None),
    ("type=\"password\"", None),
    ("in your region", None),
    ("in your country", None),
    ("location.reload", None),
    ("http-equiv=\"refresh\"", None),
];

/// Parts of the header `server` that name a product before a site, and headers that a product adds. A page
/// that it lets through has them too.
pub const SERVERS: [Known; 7] = [
    ("cloudflare", CLOUDFLARE),
    ("ddos-guard", DDOS_GUARD),
    ("akamai", AKAMAI),
    ("imperva", IMPERVA),
    ("incapsula", IMPERVA),
    ("sucuri", SUCURI),
    ("datadome", DATADOME),
];

pub const ADDED_HEADERS: [Known; 4] = [
    ("x-iinfo", IMPERVA),
    ("x-datadome", DATADOME),
    ("x-kpsdk-ct", KASADA),
    ("x-sucuri-id", SUCURI),
];
