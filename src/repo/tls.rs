//! Trust in servers: one cryptography provider for the process, and the operator's own authorities.

use std::path::Path;

use super::RepoError;

/// Makes `ring` the provider of every TLS connection of this process. Doing it twice is harmless.
pub fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing a race against another thread leaves the same provider in place.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}

/// The certificates of the operator's `ca-file`.
pub(super) fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, RepoError> {
    let refuse = |detail: String| {
        RepoError::internal(
            format!("read the authorities in `{}`", path.display()),
            detail,
        )
    };
    let pem = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| refuse(e.to_string()))?;
    if certificates.is_empty() {
        return Err(refuse("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}
