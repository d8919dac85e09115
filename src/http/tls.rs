//! The trusted certificate authorities, and TLS errors in plain words.

use std::fs;
use std::io;

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
        let certificates = certificates
            .iter()
            .map(|der| Certificate::from_der(der).to_owned());
        Ok(Authorities(certificates.into()))
    }
}

/// Describes the TLS error inside an I/O error, if there is one. Rustls wraps errors of the handshake
/// this way.
pub fn describe_io(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref().map(describe)
}

/// Describes a TLS error, with the remedy if there is one.
pub fn describe(error: &Error) -> String {
    use CertificateError::*;
    match error {
        Error::InvalidCertificate(error) => {
            let problem = match error {
                Expired | ExpiredContext { .. } => {
                    "has expired; check the clock of this machine too"
                }
                NotValidYet | NotValidYetContext { .. } => {
                    "is not valid yet; check the clock of this machine too"
                }
                NotValidForName | NotValidForNameContext { .. } => "is for another host",
                UnknownIssuer => {
                    "is self-signed or signed by an authority that is not trusted; --ca-file sets the trusted authorities"
                }
                Revoked => "is revoked",
                other => return format!("the server's certificate is invalid: {other}"),
            };
            format!("the server's certificate {problem}")
        }
        Error::InvalidMessage(_) => {
            "the server does not speak TLS at this address; did you mean http://?".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion,
        )
        | Error::PeerIncompatible(_) => {
            format!("the server and this program share no TLS version or cipher: {error}")
        }
        other => format!("TLS: {other}"),
    }
}
