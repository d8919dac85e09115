//! The trusted certificate authorities, and TLS errors in plain words.

use std::fs;
use std::io;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, Error, RootCertStore};
use ureq::tls::{Certificate, RootCerts};

/// Certificate authorities that replace the built-in ones.
#[derive(Debug, Clone)]
pub struct Authorities(pub RootCerts);

impl Authorities {
    /// Reads a PEM file of certificates.
    pub fn read(path: &str) -> Result<Self, String> {
        let certificates = read_certificates(Path::new(path))?;
        let certificates = certificates
            .iter()
            .map(|der| Certificate::from_der(der).to_owned());
        Ok(Authorities(certificates.into()))
    }
}

/// Reads a PEM file of certificates. Fails if it has none, or one that is damaged.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let advice = "give a file of certificates in PEM (-----BEGIN CERTIFICATE-----)";
    let pem = fs::read(path).map_err(|error| format!("cannot read it: {error}; {advice}"))?;
    let certificates: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is damaged: {error}; {advice}"))?;
    if certificates.is_empty() {
        return Err(format!("it contains no certificate; {advice}"));
    }
    // The client skips certificates that it cannot use, and may end up trusting none. So each
    // certificate is checked here.
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|_| format!("a certificate in it is damaged; {advice}"))?;
    }
    Ok(certificates)
}

/// Describes the TLS error inside an I/O error, if there is one. Rustls wraps errors of the handshake
/// this way.
pub fn describe_io(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref().map(describe)
}

/// Describes a TLS error, with the remedy if there is one.
pub fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => {
            format!("the server's certificate {}", describe_certificate(error))
        }
        Error::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        Error::InvalidMessage(_) => {
            "the server does not speak TLS at this address; did you mean http://?".to_owned()
        }
        Error::AlertReceived(alert) => describe_alert(*alert),
        Error::PeerIncompatible(why) => {
            let why = words(&format!("{why:?}"));
            format!("the server and this program share no TLS version or cipher ({why})")
        }
        Error::PeerMisbehaved(why) => {
            let why = words(&format!("{why:?}"));
            format!("the server breaks the rules of TLS ({why})")
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server sends TLS messages out of order".to_owned()
        }
        Error::DecryptError | Error::PeerSentOversizedRecord => {
            "the data of the TLS connection were damaged on their way".to_owned()
        }
        Error::FailedToGetCurrentTime => "TLS needs a clock, and this machine has none".to_owned(),
        Error::FailedToGetRandomBytes => {
            "TLS needs random numbers, and this machine gives none".to_owned()
        }
        Error::General(why) => format!("TLS failed: {why}"),
        Error::Other(why) => format!("TLS failed: {}", words(&why.to_string())),
        other => format!("TLS failed: {}", words(&format!("{other:?}"))),
    }
}

/// What is wrong with a certificate, phrased to follow "the server's certificate".
fn describe_certificate(error: &CertificateError) -> String {
    use CertificateError::*;
    #[expect(deprecated, reason = "the library still returns this variant")]
    let problem = match error {
        BadEncoding => "is damaged",
        Expired | ExpiredContext { .. } => "has expired; check the clock of this machine too",
        NotValidYet | NotValidYetContext { .. } => {
            "is not valid yet; check the clock of this machine too"
        }
        NotValidForName | NotValidForNameContext { .. } => "is for another host",
        UnknownIssuer => {
            "is self-signed or signed by an authority that is not trusted; --ca-file sets the trusted authorities"
        }
        Revoked => "is revoked",
        UnknownRevocationStatus => "may be revoked: no list of revoked ones covers it",
        ExpiredRevocationList | ExpiredRevocationListContext { .. } => {
            "may be revoked: the list of revoked ones has expired"
        }
        InvalidOcspResponse => "may be revoked: the statement about that is invalid",
        UnhandledCriticalExtension => "has conditions that this program does not know",
        BadSignature => "is forged or damaged: its authority has not signed it",
        UnsupportedSignatureAlgorithm
        | UnsupportedSignatureAlgorithmContext { .. }
        | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that this program does not support"
        }
        InvalidPurpose | InvalidPurposeContext { .. } => "is not one for servers",
        ApplicationVerificationFailure => "was rejected",
        Other(error) => return describe_other(&error.to_string()),
        other => return describe_other(&format!("{other:?}")),
    };
    problem.to_owned()
}

/// The same for errors of the library below, by their names: their types are not public.
fn describe_other(name: &str) -> String {
    let problem = match name {
        "CaUsedAsEndEntity" => {
            "is that of an authority, which no server may use as its own (many self-signed ones are made so); let an authority sign one for the server"
        }
        "EndEntityUsedAsCa" => "is signed with a certificate that is not one of an authority",
        "NameConstraintViolation" => "is for a host that its authority may not vouch for",
        "PathLenConstraintViolated" | "MaximumPathDepthExceeded" => {
            "is signed through more authorities than allowed"
        }
        "UnsupportedCertVersion" => "has an old format, not version 3 of X.509",
        "UnsupportedCriticalExtension" => "has conditions that this program does not know",
        _ => return format!("is not accepted: {}", words(name)),
    };
    problem.to_owned()
}

fn describe_alert(alert: AlertDescription) -> String {
    use AlertDescription::*;
    match alert {
        HandshakeFailure | ProtocolVersion | InsufficientSecurity => {
            "the server and this program share no TLS version or cipher".to_owned()
        }
        UnrecognisedName => "the server has no certificate for this host".to_owned(),
        CertificateRequired | BadCertificate | CertificateUnknown | AccessDenied => {
            "the server demands a certificate of its clients, which indexrank does not have"
                .to_owned()
        }
        InternalError => "the server reports an error of its own in the TLS handshake".to_owned(),
        other => format!(
            "the server ended the TLS handshake: {}",
            words(&format!("{other:?}"))
        ),
    }
}

/// The name of a variant in words: `bad name constraint` for `BadNameConstraint { … }`. A text that is no
/// name stays as it is.
fn words(name: &str) -> String {
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    let end = end.unwrap_or(name.len());
    if name[end..].starts_with(' ') && !name[end..].starts_with(" {") {
        return name.to_owned();
    }
    let mut words = String::new();
    for c in name[..end].chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variants_become_words() {
        for (name, expected) in [
            (
                "MaximumPathBuildCallsExceeded",
                "maximum path build calls exceeded",
            ),
            (
                "InvalidCrlSignature(Context { id: [1] })",
                "invalid crl signature",
            ),
            ("InvalidPurpose { required: [1] }", "invalid purpose"),
            ("the provider failed", "the provider failed"),
        ] {
            assert_eq!(words(name), expected);
        }
    }
}
