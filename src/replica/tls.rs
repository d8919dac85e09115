//! The certificates of a server with TLS: an authority that exists only for it, and what that signs.

use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::server::TlsConfig;

/// A certificate authority, and the server certificate that it signs.
pub struct Certificates {
    /// The certificate of the authority in PEM. Clients that trust it accept the server.
    pub authority: String,
    /// Certificate and private key of the server in PEM, for 127.0.0.1 and localhost.
    pub server: String,
}

impl Certificates {
    /// Makes an authority, whose key is dropped after one signature.
    pub fn generate() -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        // A client finds the authority of a certificate by name, so each has its own.
        let name = format!("indexrank on 127.0.0.1, {:016x}", fastrand::u64(..));
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // Python's strict check demands the usages, and the identifier below.
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let mut server =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        let issuer = Issuer::new(authority, authority_key);
        let server_pem = server.signed_by(&server_key, &issuer)?.pem();
        Ok(Certificates {
            authority: authority_pem,
            server: server_pem + &server_key.serialize_pem(),
        })
    }
}

/// The configuration of a server with this certificate and private key in PEM. Clients may resume their
/// sessions.
pub fn server_config(pem: &str) -> Result<TlsConfig> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.ticketer = Ticketer::new()?;
    Ok(Arc::new(config))
}
