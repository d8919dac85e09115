//! The certificates of a race over TLS. All servers of the race show the same one, so that programs of
//! the user can trust its authority once.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::race::output_files::OutputFile;
use crate::replica;

/// The files of the certificates. Deleted with this value.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Generates an authority and a server certificate. Writes the authority's certificate to `ca_out` too.
    pub fn generate(ca_out: Option<OutputFile>) -> Result<Self> {
        let made = replica::tls::Certificates::generate().context("cannot make certificates")?;
        // Other users cannot read a temporary folder: it has the private key of the server.
        let certificates = Certificates {
            folder: tempfile::tempdir()?,
        };
        fs::write(certificates.authority(), &made.authority)?;
        fs::write(certificates.server(), &made.server)?;
        if let Some(mut file) = ca_out {
            file.replace(made.authority.as_bytes())?;
        }
        Ok(certificates)
    }

    /// The certificate of the authority in PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Certificate and private key of the server in PEM.
    pub fn server(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }
}
