//! The TLS configuration of contenders with a client of their own.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::http::tls;

/// A configuration that trusts the authorities in a PEM file, or Mozilla's without one. It asks for no
/// particular protocol, so servers speak HTTP/1.1.
pub fn client_config(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = match authorities {
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(tls::read_certificates(file)?);
            roots
        }
    };
    let config =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| tls::describe(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(Arc::new(config))
}
