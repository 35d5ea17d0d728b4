//! TLS around the plain fakes: a relay that ends it in front of a server, and one that begins it behind a client. The
//! certificates are the test's own and for 127.0.0.1 alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::gateway::write_file;

/// A certificate for 127.0.0.1 that is its own authority.
#[derive(Debug)]
pub(crate) struct Identity {
    /// PEM files.
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Passes bytes between a port of its own and another one. Dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self {
            certificate: write_file(&made.cert.pem()),
            private_key: write_file(&made.signing_key.serialize_pem()),
            chain: made.cert.der().clone(),
            key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        }
    }

    /// Ends TLS in front of `server`.
    pub(crate) async fn in_front_of(&self, server: SocketAddr) -> Relay {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.chain.clone()], self.key.clone_key())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Relay::start(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                // A client that does not trust us leaves in the middle of the handshake; that is its right.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(server).await.unwrap();
                drop(copy_bidirectional(&mut outside, &mut inside).await);
            }
        })
        .await
    }

    /// Begins TLS towards `server`, which must have this identity.
    pub(crate) async fn towards(&self, server: SocketAddr) -> Relay {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Relay::start(move |mut stream| {
            let connector = connector.clone();
            async move {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let connection = TcpStream::connect(server).await.unwrap();
                let mut secured = connector.connect(name, connection).await.unwrap();
                drop(copy_bidirectional(&mut stream, &mut secured).await);
            }
        })
        .await
    }
}

impl Relay {
    async fn start<F>(relay: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(relay(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
