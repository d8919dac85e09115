//! Whom to trust, and what a fault of TLS means in plain words.

use std::fs;
use std::io;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, Error, RootCertStore};
use ureq::tls::{Certificate, RootCerts};

/// The authorities whose certificates are trusted, in place of the built-in ones.
#[derive(Debug, Clone)]
pub struct Authorities(pub RootCerts);

impl Authorities {
    /// Reads a file of certificates in PEM.
    pub fn read(path: &str) -> Result<Self, String> {
        let advice = "give a file of certificates in PEM (-----BEGIN CERTIFICATE-----)";
        let pem = fs::read(path).map_err(|error| format!("cannot read it: {error}; {advice}"))?;
        let certificates: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("it is damaged: {error}; {advice}"))?;
        if certificates.is_empty() {
            return Err(format!("it holds no certificate; {advice}"));
        }
        // The library would leave out what it cannot use, and then trust nobody.
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

/// What is wrong, if an I/O error has a fault of TLS in it: with rustls, one of the handshake
/// arrives so.
pub fn fault(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref().map(in_words)
}

pub fn in_words(fault: &Error) -> String {
    use CertificateError::*;
    match fault {
        Error::InvalidCertificate(fault) => {
            let what = match fault {
                Expired | ExpiredContext { .. } => {
                    "has expired; check the clock of this machine too"
                }
                NotValidYet | NotValidYetContext { .. } => {
                    "is not valid yet; check the clock of this machine too"
                }
                NotValidForName | NotValidForNameContext { .. } => "is for another host",
                UnknownIssuer => {
                    "is signed by itself or by an authority that is not trusted; --ca-file names authorities to trust"
                }
                Revoked => "is revoked",
                other => return format!("the certificate of the server is not accepted: {other}"),
            };
            format!("the certificate of the server {what}")
        }
        Error::InvalidMessage(_) => {
            "the server does not speak TLS there; is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion,
        )
        | Error::PeerIncompatible(_) => {
            format!(
                "the server and this program have no version or cipher of TLS in common: {fault}"
            )
        }
        other => format!("TLS: {other}"),
    }
}
