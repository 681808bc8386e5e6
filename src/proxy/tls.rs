//! TLS from callers: certificate chain and key from files, read again at reload.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::TlsFiles;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    /// A file cannot be read, or is no PEM of its kind.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Chain and key do not fit each other, or are of a kind that is not supported.
    #[error("the certificate and its key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// Reads the files. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
pub(super) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsFilesError> {
    let bad = |path: &PathBuf, reason: String| TlsFilesError::File {
        path: path.clone(),
        reason,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert_file)
        .map_err(|error| bad(&files.cert_file, error.to_string()))?
        .collect();
    let chain = chain.map_err(|error| bad(&files.cert_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| bad(&files.key_file, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
