//! A certificate of the gateway's own for the callers' side, and callers that trust it alone.

use std::{io, net::SocketAddr, sync::Arc};

use linkgate::proxy::TlsFiles;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, crypto,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::process::Place;

/// A self-signed certificate for `localhost`, in files.
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
    pem: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = Self {
            folder,
            pem: made.cert.pem(),
        };
        std::fs::write(own.files().cert_file, &own.pem).unwrap();
        std::fs::write(own.files().key_file, made.signing_key.serialize_pem()).unwrap();
        own
    }

    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            cert_file: self.folder.path().join("cert.pem"),
            key_file: self.folder.path().join("key.pem"),
        }
    }

    /// Puts the files into a place, under the same names.
    pub(crate) fn write_to(&self, place: &Place) {
        let TlsFiles {
            cert_file,
            key_file,
        } = self.files();
        std::fs::copy(cert_file, place.path("cert.pem")).unwrap();
        std::fs::copy(key_file, place.path("key.pem")).unwrap();
    }

    /// Connects as one who trusts this certificate and no other.
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.connect_offering(to, &[]).await
    }

    /// The same, offering these protocols (RFC 7301).
    pub(crate) async fn connect_offering(
        &self,
        to: SocketAddr,
        protocols: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector(protocols).connect(name, stream).await
    }

    fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(own).unwrap();
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let offered = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = offered.collect();
        TlsConnector::from(Arc::new(config))
    }
}
