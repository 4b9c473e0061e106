//! How the servers of mail prove who they are.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// What believes the authorities of the system, and those in a file.
///
/// # Errors
/// A sentence: certificates cannot be read.
pub(super) fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // What the system holds and nobody can read is not believed.
        let _ = roots.add(certificate);
    }
    if let Some(path) = ca {
        let unreadable = |why: String| format!("the certificates in {} cannot be read: {why}", path.display());
        let mut found = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(unreadable("there are none in PEM form (-----BEGIN CERTIFICATE-----)".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err("this machine has no certificates of authorities: install ca-certificates, or set `ca`".to_owned());
    }
    with(roots)
}

/// What believes nobody, for connections that are not secret.
///
/// # Errors
/// There is no cryptography.
pub(super) fn nobody() -> Result<Arc<ClientConfig>, String> {
    with(RootCertStore::empty())
}

fn with(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
