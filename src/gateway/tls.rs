//! The TLS configurations: ours towards clients, and ours towards MCP servers and issuers. One crypto provider, TLS 1.2 and
//! 1.3, no early data. Certificates of peers are always verified: there is no switch for that.

mod expiry;

use std::path::Path;
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use hyper_rustls::ConfigBuilderExt;
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};
use zeroize::Zeroizing;

use super::secret::read_secret;
use super::settings::UpstreamTls;

pub use expiry::expires;

/// Whether a certificate can be checked against `name`: a host name or an IP address.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    rustls::pki_types::ServerName::try_from(name).is_ok()
}

/// What files held at some time, to be compared with what they hold at another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contents(Vec<Option<Vec<u8>>>);

impl Contents {
    /// Of these files, now. To be taken before they are read: then what is read later is at worst newer, and a difference is
    /// found the next time.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let content = |file| std::fs::read(file).ok().map(|bytes| digest(&SHA256, &bytes).as_ref().to_vec());
        Self(files.into_iter().map(content).collect())
    }
}

/// Reads certificate chain and key (PEM). ALPN h2 and http/1.1.
pub fn server_config(certificate: &Path, private_key: &Path) -> Result<Arc<ServerConfig>, String> {
    let pair = read_pair(certificate, private_key)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_no_client_auth()
        .with_cert_resolver(pair);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Early data can be replayed by anybody who recorded it, tool calls included.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The configuration towards one MCP server: it trusts the system's roots, or the given bundle and nothing else. ALPN is
/// left to the connector.
pub fn client_config(settings: &UpstreamTls) -> Result<ClientConfig, String> {
    let builder = match &settings.ca {
        Some(ca) => verifying()?.with_root_certificates(read_roots(ca)?),
        None => with_system_roots()?,
    };
    match &settings.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, private_key)) => Ok(builder.with_client_cert_resolver(read_pair(certificate, private_key)?)),
    }
}

/// The configuration of a client that trusts nobody: for connectors that speak plain http only.
pub fn client_config_without_roots() -> Result<ClientConfig, String> {
    Ok(verifying()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn verifying() -> Result<ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn with_system_roots() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    verifying()?.with_native_roots().map_err(|error| {
        format!(
            "the system's trusted certificates cannot be read: {error}; install ca-certificates, or name a `ca` bundle"
        )
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, &error, "a PEM certificate chain"))?;
    if chain.is_empty() {
        return Err(format!(
            "{}: holds no certificate; expected a PEM chain, our own certificate first",
            path.display()
        ));
    }
    Ok(chain)
}

/// Chain and key, which belong together. Given to rustls as it is prepared for signing: what it reads keys from by itself,
/// it does not wipe.
fn read_pair(certificate: &Path, private_key: &Path) -> Result<Arc<SingleCertAndKey>, String> {
    let (chain, key) = (read_chain(certificate)?, read_key(private_key)?);
    let certified = aws_lc_rs::sign::any_supported_type(&key).map(|key| CertifiedKey::new(chain, key));
    let matching = certified.and_then(|certified| match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(error),
    });
    let certified = matching.map_err(|error| unusable_pair(certificate, private_key, &error))?;
    Ok(Arc::new(certified.into()))
}

fn read_key(path: &Path) -> Result<Zeroizing<PrivateKeyDer<'static>>, String> {
    let key = read_secret(path, KEY_FILE_BYTES_MAX).map_err(pem::Error::Io).and_then(|text| {
        // The reader of PEM wipes nothing that it makes on the way.
        PrivateKeyDer::from_pem_slice(&text)
    });
    key.map(Zeroizing::new)
        .map_err(|error| unreadable(path, &error, "an unencrypted PEM private key (PKCS#8, SEC1 or PKCS#1)"))
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots.add(certificate).map_err(|error| {
            format!("{}: a certificate cannot be trusted: {error}; expected CA certificates in PEM", path.display())
        })?;
    }
    Ok(roots)
}

fn unreadable(path: &Path, error: &pem::Error, expected: &str) -> String {
    let path = path.display();
    if let pem::Error::Io(error) = error {
        return format!("{path}: cannot be read: {error}; check the path and that the file is readable for us");
    }
    if matches!(error, pem::Error::NoItemsFound) {
        return format!("{path}: holds nothing of the kind; expected {expected}");
    }
    format!("{path}: is no valid PEM: {error}; expected {expected}")
}

fn unusable_pair(certificate: &Path, private_key: &Path, error: &rustls::Error) -> String {
    let (certificate, private_key) = (certificate.display(), private_key.display());
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return format!(
            "{private_key}: the key does not belong to the first certificate of {certificate}; \
             give the key it was issued for, and the chain with our own certificate first"
        );
    }
    format!("{certificate} with {private_key}: cannot be used: {error}; expected an ECDSA, Ed25519 or RSA pair")
}

/// A private key's, with whatever stands beside it: a chain, or parameters.
const KEY_FILE_BYTES_MAX: usize = 256 << 10;

/// TLS 1.3, and 1.2 for older clients. rustls has only AEAD and ECDHE suites, and no renegotiation.
static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    /// A directory of this test's own, removed with it.
    pub(in crate::gateway) struct Files(PathBuf);

    impl Files {
        pub(in crate::gateway) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("gatepost-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
        pub(in crate::gateway) fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    /// A CA, and certificates of it.
    pub(in crate::gateway) struct Ca(CertifiedIssuer<'static, KeyPair>);

    impl Ca {
        pub(in crate::gateway) fn new() -> Self {
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }
        pub(in crate::gateway) fn pem(&self) -> String {
            self.0.pem()
        }
        /// Certificate and key for `name`.
        pub(in crate::gateway) fn issue(&self, name: &str) -> (String, String) {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
            (certificate.pem(), key.serialize_pem())
        }
    }

    #[test]
    fn a_pair_is_read_and_hardened() {
        let (files, (certificate, key)) = (Files::new(), Ca::new().issue("localhost"));
        let config = server_config(&files.write("crt", &certificate), &files.write("key", &key)).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(config.max_early_data_size, 0);
    }

    #[test]
    fn errors_name_the_file_the_reason_and_the_remedy() {
        fn check(certificate: &str, key: &str, at: &str, expect: &str) {
            let files = Files::new();
            let error = server_config(&files.write("crt", certificate), &files.write("key", key)).unwrap_err();
            assert!(error.starts_with(&files.0.join(at).display().to_string()), "{error}");
            assert!(error.contains(expect), "{error}");
        }
        let ca = Ca::new();
        let ((certificate, key), (_, other)) = (ca.issue("localhost"), ca.issue("localhost"));
        check("", &key, "crt", "expected a PEM");
        check(&key, &key, "crt", "expected a PEM");
        check("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key, "crt", "expected a PEM");
        check(&certificate, "", "key", "expected an unencrypted PEM private key");
        check(&certificate, &certificate, "key", "expected an unencrypted PEM private key");
        check(&certificate, &other, "key", "does not belong to the first certificate");

        let missing = Path::new("/nonexistent/tls.crt");
        let error = server_config(missing, missing).unwrap_err();
        assert!(error.starts_with("/nonexistent/tls.crt: cannot be read: "), "{error}");
    }

    #[test]
    fn a_client_reads_its_bundle_and_its_pair() {
        let (files, ca) = (Files::new(), Ca::new());
        let (certificate, key) = ca.issue("client");
        let mut settings = UpstreamTls { ca: Some(files.write("ca", &ca.pem())), client: None, server_name: None };
        assert!(!client_config(&settings).unwrap().enable_early_data);
        settings.client = Some((files.write("crt", &certificate), files.write("key", &key)));
        assert!(client_config(&settings).unwrap().client_auth_cert_resolver.has_certs());
        settings.ca = Some(files.write("ca", ""));
        assert!(client_config(&settings).unwrap_err().contains("holds no"));
    }
}
