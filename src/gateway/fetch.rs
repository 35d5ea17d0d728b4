//! Fetches metadata and key sets for `token`: https (http on loopback), no redirects, bounded in size and time. It never
//! connects to where clouds keep their instance metadata, whatever a name resolves to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, Request, Uri, header};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use super::body::{ReadFault, read_limited};
use super::settings::UpstreamTls;
use super::tls;
use super::upstream::{Within, chain};
use crate::token::{Fetch, FetchError, Fetched};

/// The fetcher.
#[derive(Debug)]
pub struct HttpFetch {
    client: Client<Within<HttpsConnector<HttpConnector<Resolver>>>, Empty<Bytes>>,
    /// Why https does not work, if so. Issuers on loopback and key files then still do.
    no_roots: Option<String>,
    timeout: Duration,
}

/// Resolves names, and leaves out the addresses that are not to be connected to.
#[derive(Debug, Clone)]
struct Resolver(GaiResolver);

impl HttpFetch {
    /// Prepares the client. Without the system's trusted certificates every https fetch fails and says so.
    pub fn new() -> Result<Self, String> {
        let (config, no_roots) = match tls::client_config(&UpstreamTls::default()) {
            Ok(config) => (config, None),
            Err(error) => (tls::client_config_without_roots()?, Some(error)),
        };
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let connector = Within { connector: https.wrap_connector(tcp), timeout: CONNECT_TIMEOUT };
        let client = Client::builder(TokioExecutor::new())
            // Fetches are rare: no connection is worth keeping.
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self { client, no_roots, timeout: TIMEOUT })
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, String> {
        let uri = accept_url(url)?;
        match &self.no_roots {
            Some(error) if uri.scheme() == Some(&Scheme::HTTPS) => return Err(error.clone()),
            Some(_) | None => {}
        }
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, concat!("gatepost/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        tokio::time::timeout(self.timeout, async {
            let answer = self.client.request(request).await.map_err(|error| in_words(&error))?;
            let (head, mut body) = answer.into_parts();
            // A few compressed bytes could become very many; nobody asked for them.
            if !is_identity(&head.headers) {
                return Err("the answer is compressed, which was not asked for".to_owned());
            }
            let body = read_limited(&mut body, BYTES_MAX).await.map_err(|fault| match fault {
                ReadFault::TooLarge => format!("the answer is larger than {} KiB", BYTES_MAX >> 10),
                ReadFault::Broken => "the answer was cut short".to_owned(),
            })?;
            Ok(Fetched { status: head.status.as_u16(), body, max_age: max_age(&head.headers) })
        })
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", self.timeout.as_secs_f32())))
    }
}

impl Fetch for HttpFetch {
    fn get<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
        Box::pin(async move { self.fetch(url).await.map_err(FetchError) })
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolved = self.0.call(name.clone());
        Box::pin(async move {
            let addresses: Vec<_> = resolved.await?.filter(|found| may_connect(name.as_str(), found.ip())).collect();
            if addresses.is_empty() {
                return Err(io::Error::other("it resolves to no address that may be connected to"));
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Https, or http to this machine; an address given as such must be one that may be connected to.
fn accept_url(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("no valid URL: {error}"))?;
    let Some(authority) = uri.authority() else { return Err("expected an absolute URL".to_owned()) };
    if authority.as_str().contains('@') {
        return Err("expected no user information in the URL".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    let loopback = address.as_ref().map_or(host == LOCALHOST, IpAddr::is_loopback);
    let scheme = uri.scheme();
    if scheme != Some(&Scheme::HTTPS) && !(scheme == Some(&Scheme::HTTP) && loopback) {
        return Err("expected https (http only to 127.0.0.1, [::1] or localhost)".to_owned());
    }
    // The connector asks the resolver for names alone.
    match address {
        Ok(address) if !may_connect(host, address) => Err("this address is not connected to".to_owned()),
        Ok(_) | Err(_) => Ok(uri),
    }
}

/// Whether `address`, which `host` is or resolves to, may be connected to. An attacker who can name a key set's place, or
/// answer for its name, would otherwise have us read the machine's cloud credentials for them.
fn may_connect(host: &str, address: IpAddr) -> bool {
    // Plain http is allowed to this name because it stays on this machine.
    if host == LOCALHOST {
        return address.is_loopback();
    }
    match address {
        IpAddr::V4(v4) => may_connect_v4(v4),
        IpAddr::V6(v6) => {
            let embedded = v6.to_ipv4_mapped().or_else(|| nat64(v6));
            let refused = v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                // The metadata service of EC2.
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            !refused && embedded.is_none_or(may_connect_v4)
        }
    }
}

/// Not: "this network" (0.0.0.0/8, which reaches this machine), link-local (169.254.0.0/16, metadata services), multicast,
/// broadcast, and Alibaba's metadata service.
fn may_connect_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !(first == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address == Ipv4Addr::new(100, 100, 100, 200))
}

/// The IPv4 address that a NAT64 gateway makes of one in `64:ff9b::/96` (RFC 6052 §2.1).
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let embedded = u32::try_from(bits & u128::from(u32::MAX)).ok()?;
    (bits >> 32 == 0x0064_ff9b << 64).then(|| Ipv4Addr::from_bits(embedded))
}

fn is_identity(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The least `max-age` (RFC 9111 §5.2.2.1). A directive that is no number counts as absent.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).filter_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"');
        let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit mean as long as possible (RFC 9111 §1.2.2).
        (name.trim().eq_ignore_ascii_case("max-age") && digits).then(|| seconds.parse().unwrap_or(u64::from(u32::MAX)))
    });
    seconds.min().map(Duration::from_secs)
}

/// An error with its causes.
fn in_words(error: &hyper_util::client::legacy::Error) -> String {
    let causes: Vec<String> = chain(error).map(ToString::to_string).collect();
    causes.join(": ")
}

const LOCALHOST: &str = "localhost";
/// Name resolution, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// All of it.
const TIMEOUT: Duration = Duration::from_secs(3);
/// An answer's body.
const BYTES_MAX: usize = 512 << 10;
/// An answer's head.
const HEAD_BYTES_MAX: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const REDIRECT: &str = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";

    /// A server that answers one request with `answer`, then stays silent; it returns the request. At this URL.
    async fn serve(answer: String) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/jwks", listener.local_addr().unwrap().port());
        let serving = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0);
            }
            // The client may hang up before it is all written.
            drop(connection.write_all(answer.as_bytes()).await);
            // Reads to the end that the client makes: it asks nothing more.
            while let Ok(1..) = connection.read_buf(&mut read).await {}
            String::from_utf8(read).unwrap()
        });
        (url, serving)
    }

    async fn check(answer: &str, expect: Result<(u16, &str, Option<u64>), &str>) {
        let (url, serving) = serve(answer.to_owned()).await;
        let fetched = HttpFetch::new().unwrap().get(&url).await;
        let request = serving.await.unwrap();
        assert!(request.starts_with("GET /jwks HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("accept: application/json\r\naccept-encoding: identity\r\n"), "{request}");
        assert_eq!(request.matches("HTTP/1.1").count(), 1, "{request}");
        match (fetched, expect) {
            (Ok(fetched), Ok((status, body, max_age))) => {
                assert_eq!((fetched.status, fetched.body.as_ref()), (status, body.as_bytes()));
                assert_eq!(fetched.max_age, max_age.map(Duration::from_secs));
            }
            (Err(FetchError(reason)), Err(expect)) => assert_eq!(reason, expect),
            (fetched, expect) => panic!("{fetched:?}, expected {expect:?}"),
        }
    }

    #[tokio::test]
    async fn fetches_within_its_limits() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Ok((200, "{}", None))).await;
        check(
            "HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 2\r\n\r\n{}",
            Ok((200, "{}", Some(60))),
        )
        .await;
        check("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno", Ok((500, "no", None))).await;
        check(REDIRECT, Ok((302, "", None))).await;
        check(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            Err("the answer is compressed, which was not asked for"),
        )
        .await;
        let large = "the answer is larger than 512 KiB";
        check("HTTP/1.1 200 OK\r\ncontent-length: 524289\r\n\r\n", Err(large)).await;
        let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
        let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(9));
        check(&endless, Err(large)).await;
        let broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nx\r\n";
        check(broken, Err("the answer was cut short")).await;
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let (url, serving) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{".to_owned()).await;
        let hasty = HttpFetch { timeout: Duration::from_millis(50), ..HttpFetch::new().unwrap() };
        let FetchError(reason) = hasty.get(&url).await.unwrap_err();
        assert_eq!(reason, "no answer within 0.05 s");
        drop(serving.await.unwrap());
    }

    #[tokio::test]
    async fn a_failure_says_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let FetchError(reason) = HttpFetch::new().unwrap().get(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        assert!(reason.contains("refused"), "{reason}");
    }

    #[tokio::test]
    async fn a_name_is_resolved_to_what_may_be_connected_to() {
        let resolve = async |name: &str| Resolver(GaiResolver::new()).call(name.parse().unwrap()).await;
        assert!(resolve("localhost").await.unwrap().all(|address| address.ip().is_loopback()));
        // Old spellings of addresses are names to the connector.
        assert!(resolve("0").await.is_err());
        assert!(resolve("0xa9fea9fe").await.is_err());
        assert!(resolve("169.254.43518").await.is_err());
    }

    #[test]
    fn urls_are_https_or_local() {
        fn check(url: &str, expect: bool) {
            assert_eq!(accept_url(url).is_ok(), expect, "{url}");
        }
        check("https://auth.example.com/jwks", true);
        check("https://10.0.0.1/jwks", true);
        check("https://[2001:db8::1]/jwks", true);
        check("http://127.0.0.1:8080/jwks", true);
        check("http://[::1]:8080/jwks", true);
        check("http://localhost/jwks", true);
        check("http://auth.example.com/jwks", false);
        check("http://localhost.example.com/jwks", false);
        check("http://10.0.0.1/jwks", false);
        check("https://169.254.169.254/latest/meta-data", false);
        check("https://[fe80::1]/", false);
        check("https://[::ffff:169.254.169.254]/", false);
        check("http://0.0.0.0/", false);
        check("https://0.0.0.0/", false);
        check("https://u:p@auth.example.com/", false);
        check("http://127.0.0.1@evil.example/", false);
        check("ftp://localhost/", false);
        check("file:///etc/passwd", false);
        check("/jwks", false);
        check("localhost:80", false);
        check("", false);
    }

    #[test]
    fn addresses_of_the_machine_and_its_link_are_left_out() {
        fn check(host: &str, address: &str, expect: bool) {
            assert_eq!(may_connect(host, address.parse().unwrap()), expect, "{host} {address}");
        }
        for address in ["10.0.0.1", "192.168.0.1", "127.0.0.1", "203.0.113.1", "::1", "fd00::1", "2001:db8::1"] {
            check("auth.example", address, true);
        }
        for address in ["0.0.0.0", "0.1.2.3", "169.254.0.1", "224.0.0.1", "255.255.255.255", "100.100.100.200"] {
            check("auth.example", address, false);
            check("auth.example", &format!("::ffff:{address}"), false);
            check("auth.example", &format!("64:ff9b::{address}"), false);
        }
        for address in ["::", "fe80::1", "febf::1", "ff02::1", "fd00:ec2::254"] {
            check("auth.example", address, false);
        }
        check("localhost", "127.0.0.2", true);
        check("localhost", "::1", true);
        check("localhost", "203.0.113.1", false);
    }

    #[test]
    fn the_least_max_age_counts() {
        fn check(values: &[&str], expect: Option<u64>) {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, value.parse().unwrap());
            }
            assert_eq!(max_age(&headers), expect.map(Duration::from_secs), "{values:?}");
        }
        check(&[], None);
        check(&["no-store"], None);
        check(&["max-age=60"], Some(60));
        check(&["Public , MAX-AGE = \"60\" , immutable"], Some(60));
        check(&["max-age=60, max-age=30"], Some(30));
        check(&["max-age=60", "max-age=30"], Some(30));
        check(&["s-maxage=60"], None);
        check(&["max-age"], None);
        check(&["max-age=", "max-age=-1", "max-age=+1", "max-age=1.5"], None);
        check(&["max-age=99999999999999999999"], Some(u64::from(u32::MAX)));
    }
}
