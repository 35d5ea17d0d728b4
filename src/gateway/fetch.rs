//! Fetches metadata and key sets for `token`: https (http on loopback), no redirects, bounded in size and time. It never
//! connects to where clouds keep their instance metadata, whatever a name resolves to; for URLs that strangers name, to
//! nothing but public addresses.

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
    reach: Reach,
}

/// How far fetches reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// URLs that the file names, or that an issuer which the file names does.
    Trusted,
    /// URLs that anybody may name.
    Public,
}

/// Resolves names, and leaves out the addresses that are not to be connected to.
#[derive(Debug, Clone)]
struct Resolver(GaiResolver, Reach);

impl HttpFetch {
    /// Prepares the client. Without the system's trusted certificates every https fetch fails and says so.
    pub fn new() -> Result<Self, String> {
        Self::reaching(Reach::Trusted)
    }

    /// The same for URLs that a stranger chose: https alone, and only public addresses, whatever a name resolves to. Anybody
    /// could otherwise have this machine ask what only its own network can reach.
    pub fn public() -> Result<Self, String> {
        Self::reaching(Reach::Public)
    }

    fn reaching(reach: Reach) -> Result<Self, String> {
        let (config, no_roots) = match tls::client_config(&UpstreamTls::default()) {
            Ok(config) => (config, None),
            Err(error) => (tls::client_config_without_roots()?, Some(error)),
        };
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new(), reach));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let connector = Within { connector: https.wrap_connector(tcp), timeout: CONNECT_TIMEOUT };
        let client = Client::builder(TokioExecutor::new())
            // Fetches are rare: no connection is worth keeping.
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self { client, no_roots, timeout: TIMEOUT, reach })
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, String> {
        let uri = accept_url(url, self.reach)?;
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
        let reach = self.1;
        Box::pin(async move {
            let addresses: Vec<_> =
                resolved.await?.filter(|found| may_connect(name.as_str(), found.ip(), reach)).collect();
            if addresses.is_empty() {
                return Err(io::Error::other("it resolves to no address that may be connected to"));
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Https, or http to this machine where that is within reach; an address given as such must be one that may be connected to.
fn accept_url(url: &str, reach: Reach) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("no valid URL: {error}"))?;
    let Some(authority) = uri.authority() else { return Err("expected an absolute URL".to_owned()) };
    if authority.as_str().contains('@') {
        return Err("expected no user information in the URL".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    let loopback = address.as_ref().map_or(host == LOCALHOST, IpAddr::is_loopback);
    let scheme = uri.scheme();
    if reach == Reach::Public && scheme != Some(&Scheme::HTTPS) {
        return Err("expected https".to_owned());
    }
    if scheme != Some(&Scheme::HTTPS) && !(scheme == Some(&Scheme::HTTP) && loopback) {
        return Err("expected https (http only to 127.0.0.1, [::1] or localhost)".to_owned());
    }
    // The connector asks the resolver for names alone.
    match address {
        Ok(address) if !may_connect(host, address, reach) => Err("this address is not connected to".to_owned()),
        Ok(_) | Err(_) => Ok(uri),
    }
}

/// Whether `address`, which `host` is or resolves to, may be connected to. An attacker who can name a key set's place, or
/// answer for its name, would otherwise have us read the machine's cloud credentials for them.
fn may_connect(host: &str, address: IpAddr, reach: Reach) -> bool {
    if reach == Reach::Public {
        return is_public(address);
    }
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

/// Whether an address is one of the public internet (the special-purpose registries of RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| nat64(v6)) {
            Some(embedded) => is_public_v4(embedded),
            // 2000::/3 is what is given out; in it, 2001::/23 (protocols, Teredo), 2001:db8::/32 and 3fff::/20
            // (documentation), and 2002::/16 (6to4, which holds an IPv4 address) are not for hosts.
            None => match v6.segments() {
                [0x2001, second, ..] => second >= 0x0200 && second != 0x0db8,
                [0x3fff, second, ..] => second >= 0x1000,
                [first, ..] => (0x2000..0x4000).contains(&first) && first != 0x2002,
            },
        },
    }
}

/// Beside what is never connected to, not: private and shared networks (RFC 1918, RFC 6598), this machine, protocols,
/// documentation, benchmarks, 6to4 relays, what is reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let reserved = matches!(
        (first, second, third),
        (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) | (240.., _, _)
    );
    may_connect_v4(address)
        && !reserved
        && !address.is_private()
        && !address.is_loopback()
        && !address.is_documentation()
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
        let resolve = async |name: &str| Resolver(GaiResolver::new(), Reach::Trusted).call(name.parse().unwrap()).await;
        assert!(resolve("localhost").await.unwrap().all(|address| address.ip().is_loopback()));
        // Old spellings of addresses are names to the connector.
        assert!(resolve("0").await.is_err());
        assert!(resolve("0xa9fea9fe").await.is_err());
        assert!(resolve("169.254.43518").await.is_err());
    }

    #[test]
    fn urls_are_https_or_local() {
        fn check(url: &str, expect: bool) {
            assert_eq!(accept_url(url, Reach::Trusted).is_ok(), expect, "{url}");
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
            assert_eq!(may_connect(host, address.parse().unwrap(), Reach::Trusted), expect, "{host} {address}");
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

    #[tokio::test]
    async fn what_strangers_name_is_public() {
        fn url(url: &str, expect: bool) {
            assert_eq!(accept_url(url, Reach::Public).is_ok(), expect, "{url}");
        }
        url("https://client.example/metadata.json", true);
        url("https://8.8.8.8/", true);
        url("http://client.example/", false);
        url("http://127.0.0.1:8080/", false);
        url("http://localhost/", false);
        url("https://127.0.0.1/", false);
        url("https://[::1]/", false);
        url("https://[::ffff:10.0.0.1]/", false);
        for (addresses, expect) in [
            ("8.8.8.8 1.1.1.1 100.63.0.1 172.32.0.1 192.0.1.1 2606:4700::1111 2001:4860:4860::8888 3ffe::1", true),
            ("::ffff:8.8.8.8 64:ff9b::8.8.8.8", true),
            (
                "10.0.0.1 172.16.0.1 192.168.0.1 127.0.0.1 169.254.169.254 100.64.0.1 0.0.0.0 192.0.2.1 198.18.0.1",
                false,
            ),
            ("192.0.0.8 192.88.99.1 224.0.0.1 240.0.0.1 255.255.255.255 100.100.100.200", false),
            (":: ::1 fd00::1 fe80::1 ff02::1 2001:db8::1 2001::1 2002:a00:1:: 3fff::1 64:ff9b:1::1", false),
            ("::ffff:10.0.0.1 64:ff9b::10.0.0.1 ::7f00:1", false),
        ] {
            for address in addresses.split(' ') {
                let may = may_connect("client.example", address.parse().unwrap(), Reach::Public);
                assert_eq!(may, expect, "{address}");
            }
        }
        let mut resolver = Resolver(GaiResolver::new(), Reach::Public);
        assert!(resolver.call("localhost".parse().unwrap()).await.is_err());
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
