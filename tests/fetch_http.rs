//! Fetching over HTTP from a loopback server that tells the truth, lies, stalls, cuts and runs in circles.
//!
//! Ordinary answers come from axum; those that no honest server gives are written to the socket octet by octet.
#![cfg(feature = "full")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gatepost::config::{Config, Credential, Feeds, ListConfig, Source, Sync as SyncKeys};
use gatepost::feed::fetch::{FetchError, Fetched, Fetcher, Known, Outcome, Progress, Times, Trouble};
use gatepost::store::Validators;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIST: &str = "192.0.2.1\n192.0.2.2\n";

/// A list of a feed file like those of a catalogue.
fn list(urls: &[String], allow_private: bool) -> ListConfig {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    let text = format!(
        r#"
name = "made-up"
title = "A made-up list"
urls = [{}]
format = "plain"
use = "block"
code = "127.0.0.99"
text = "$ is on it"
kind = "abuse"
homepage = "https://example.net/"
floor = "1h"
max-size = "100kB"
allow-private = {allow_private}
[terms]
text = "Free."
fetch = "anyone"
redistribute = "public"
"#,
        urls.join(", ")
    );
    let feeds =
        Feeds::read([(Path::new("made-up.toml"), &*text)]).unwrap_or_else(|problems| panic!("{problems}"));
    let config = Config::for_up("/nowhere".into(), &"example.net".parse().unwrap(), &feeds, Vec::new());
    config.unwrap().reloadable.lists.remove(&"made-up".parse().unwrap()).unwrap()
}

fn fetcher() -> Fetcher {
    // Short enough for stalls, long enough for a busy machine.
    let times = Times {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(700),
        total: Duration::from_secs(3),
    };
    Fetcher::new(&sync(), times)
}

fn sync() -> SyncKeys {
    let suffix = "example.net".parse().unwrap();
    let config = Config::for_up("/nowhere".into(), &suffix, &Feeds::default(), Vec::new()).unwrap();
    SyncKeys { contact: Some("postmaster@example.net".to_owned()), ..config.reloadable.sync }
}

async fn fetch_known(list: &ListConfig, known: Option<&Validators>) -> Result<Outcome, FetchError> {
    let known = Known { validators: known.cloned().into_iter().collect(), ..Known::default() };
    fetcher().fetch(list, &known, NamedTempFile::new().unwrap(), &|_| {}).await
}

async fn fetch(url: &str) -> Result<Fetched, FetchError> {
    match fetch_known(&list(&[url.to_owned()], true), None).await? {
        Outcome::Fetched(fetched) => Ok(fetched),
        Outcome::NotModified(_) => panic!("not modified, although nothing was known"),
    }
}

fn body(fetched: &Fetched) -> String {
    std::fs::read_to_string(fetched.body.path()).unwrap()
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// A server that answers every connection with these octets, then with what `more` does.
async fn raw<F, R>(head: &'static str, more: F) -> String
where
    F: Fn(tokio::net::TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let more = Arc::new(more);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let more = more.clone();
            tokio::spawn(async move {
                let mut question = [0; 4096];
                let _ = stream.read(&mut question).await;
                if stream.write_all(head.as_bytes()).await.is_ok() {
                    more(stream).await;
                }
            });
        }
    });
    format!("http://{address}/list")
}

async fn close(_: tokio::net::TcpStream) {}

async fn stall(stream: tokio::net::TcpStream) {
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(stream);
}

fn text(error: &FetchError) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_body_and_what_it_is_called() {
    let url = serve(Router::new().route(
        "/list",
        get(|headers: HeaderMap| async move {
            assert_eq!(
                headers[header::USER_AGENT],
                concat!("gatepost/", env!("CARGO_PKG_VERSION"), " (+postmaster@example.net)")
            );
            assert!(!headers.contains_key(header::IF_NONE_MATCH));
            ([(header::ETAG, "\"one\""), (header::LAST_MODIFIED, "Sat, 22 Aug 2026 10:00:00 GMT")], LIST)
        }),
    ))
    .await;
    let url = format!("{url}/list");
    let last = Arc::new(AtomicU64::new(0));
    let progress = |progress: Progress| {
        assert_eq!(progress.total, Some(LIST.len() as u64));
        last.store(progress.received, Ordering::Relaxed);
    };
    let outcome = fetcher()
        .fetch(
            &list(std::slice::from_ref(&url), true),
            &Known::default(),
            NamedTempFile::new().unwrap(),
            &progress,
        )
        .await
        .unwrap();
    let Outcome::Fetched(fetched) = outcome else { panic!("{outcome:?}") };
    assert_eq!(body(&fetched), LIST);
    assert_eq!(fetched.received, LIST.len() as u64);
    assert_eq!(last.load(Ordering::Relaxed), fetched.received);
    assert!(fetched.complete);
    assert_eq!(fetched.answered.status, Some(200));
    let expected = Validators {
        url,
        from: None,
        etag: Some("\"one\"".to_owned()),
        last_modified: Some("Sat, 22 Aug 2026 10:00:00 GMT".to_owned()),
    };
    assert_eq!(fetched.validators, expected);
}

#[tokio::test]
async fn not_modified_only_for_what_is_known_there() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let url = serve(Router::new().route(
        "/list",
        get(move |headers: HeaderMap| async move {
            counter.fetch_add(1, Ordering::Relaxed);
            let same = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "\"one\"")
                && headers.get(header::IF_MODIFIED_SINCE).is_some_and(|date| date == "D");
            if same { StatusCode::NOT_MODIFIED.into_response() } else { LIST.into_response() }
        }),
    ))
    .await;
    let url = format!("{url}/list");
    let known = Validators {
        url: url.clone(),
        from: None,
        etag: Some("\"one\"".to_owned()),
        last_modified: Some("D".to_owned()),
    };
    let list = list(std::slice::from_ref(&url), true);
    let outcome = fetch_known(&list, Some(&known)).await.unwrap();
    assert!(matches!(&outcome, Outcome::NotModified(it) if it.answered.status == Some(304)), "{outcome:?}");
    // Validators of another place are not sent.
    let elsewhere = Validators { url: "http://127.0.0.1:1/other".to_owned(), ..known };
    assert!(matches!(fetch_known(&list, Some(&elsewhere)).await.unwrap(), Outcome::Fetched(_)));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn statuses_that_are_no_list() {
    async fn say(status: u16, headers: &[(&'static str, &'static str)]) -> FetchError {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let status = StatusCode::from_u16(status).unwrap();
        let url =
            serve(Router::new().route("/list", get(move || async move { (status, headers, LIST) }))).await;
        fetch(&format!("{url}/list")).await.unwrap_err()
    }
    for (status, trouble) in [
        (206, Trouble::Answered),
        (304, Trouble::Answered),
        (401, Trouble::Refused),
        (403, Trouble::Refused),
        (404, Trouble::Refused),
        (410, Trouble::Refused),
        (451, Trouble::Refused),
        (500, Trouble::Answered),
        (502, Trouble::Answered),
        (204, Trouble::Answered),
    ] {
        let error = say(status, &[("retry-after", "99")]).await;
        // Who refuses may ask to be left alone with whatever status.
        let rest = (status >= 400).then_some(Duration::from_secs(99));
        assert_eq!((error.trouble(), error.causes[0].retry_after), (trouble, rest), "{error}");
        assert!(error.reached() && text(&error).contains(&status.to_string()), "{error}");
        assert!(text(&error).starts_with("made-up: http://127.0.0.1:"), "{error}");
        assert_eq!(error.causes[0].status, Some(status));
    }
    for status in [429, 503] {
        let error = say(status, &[("retry-after", "7200")]).await;
        assert_eq!(error.causes[0].retry_after, Some(Duration::from_secs(7200)), "{error}");
    }
    let error = say(429, &[("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT")]).await;
    assert!(error.causes[0].retry_after.unwrap() > Duration::from_secs(86_400 * 365), "{error}");
    let error = say(503, &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]).await;
    assert_eq!(error.causes[0].retry_after, None);
    assert_eq!(say(429, &[("retry-after", "soon")]).await.causes[0].retry_after, None);
}

#[tokio::test]
async fn cut_bodies_and_lying_lengths() {
    // Ten octets of twenty, then the end.
    let url = raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n192.0.2.1\n", close).await;
    let error = fetch(&url).await.unwrap_err();
    assert!(text(&error).contains("cut after 10 octets"), "{error}");
    assert_eq!(error.trouble(), Trouble::Answered);
    // Chunks without the last one.
    let url = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n192.0.2.1\n\r\n", close).await;
    let error = fetch(&url).await.unwrap_err();
    assert!(text(&error).contains("cut after 10 octets"), "{error}");
    // More than was announced: only what was announced is the body, and it is known to be whole.
    let url = raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.2.1\n192.0.2.2\n", close).await;
    let fetched = fetch(&url).await.unwrap();
    assert_eq!((body(&fetched), fetched.complete), ("192.0.2.1\n".to_owned(), true));
    // Neither length nor chunks: nobody can tell whether that was all.
    let url = raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n192.0.2.1\n192.0", close).await;
    let fetched = fetch(&url).await.unwrap();
    assert_eq!((body(&fetched), fetched.complete), ("192.0.2.1\n192.0".to_owned(), false));
    // Not HTTP at all.
    let url = raw("SSH-2.0-OpenSSH_9.2\r\n", close).await;
    assert!(fetch(&url).await.unwrap_err().reached());
}

#[tokio::test]
async fn bodies_without_end() {
    // Announced: refused before an octet of it is read.
    let url = raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", stall).await;
    let error = fetch(&url).await.unwrap_err();
    assert!(text(&error).ends_with("larger than 100000 octets"), "{error}");
    // Not announced: the file never grows past the limit by more than a chunk.
    let url = raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", |mut stream| async move {
        while stream.write_all(&[b'1'; 10_000]).await.is_ok() {}
    })
    .await;
    let file = NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let kept = std::fs::File::open(&path).unwrap();
    let error = fetcher().fetch(&list(&[url], true), &Known::default(), file, &|_| {}).await.unwrap_err();
    assert!(text(&error).ends_with("larger than 100000 octets"), "{error}");
    assert_eq!(kept.metadata().unwrap().len(), 0, "what came is thrown away");
    assert!(!path.exists());
}

#[tokio::test]
async fn stalls() {
    for head in [
        // Nothing at all, half a head, half a body.
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n192.0.2.1\n",
    ] {
        let url = raw(head, stall).await;
        let error = fetch(&url).await.unwrap_err();
        assert!(text(&error).contains("timed out"), "{head:?}: {error}");
    }
    // An octet now and then never stalls, but it ends all the same.
    let url = raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", |mut stream| async move {
        while stream.write_all(b"1").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let error = fetch(&url).await.unwrap_err();
    assert!(text(&error).ends_with("not done after 3 seconds"), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&format!("http://{address}/list")).await.unwrap_err();
    assert_eq!((error.trouble(), error.reached()), (Trouble::Unreached, false), "{error}");
    assert!(text(&error).contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn redirects() {
    fn to(location: &str) -> Response {
        (StatusCode::FOUND, [(header::LOCATION, location.to_owned())]).into_response()
    }
    let hops = |n: usize| {
        get(move || async move { if n == 0 { LIST.into_response() } else { to(&format!("/{}", n - 1)) } })
    };
    let mut router = Router::new()
        .route("/loop", get(|| async { to("/loop") }))
        .route("/ftp", get(|| async { to("ftp://127.0.0.1/list") }))
        .route("/file", get(|| async { to("file:///etc/passwd") }))
        .route("/password", get(|| async { to("http://a:b@127.0.0.1/") }))
        .route("/nowhere", get(|| async { to("http://[") }))
        .route("/bare", get(|| async { StatusCode::FOUND }));
    for n in 0..=6 {
        router = router.route(&format!("/{n}"), hops(n));
    }
    let url = serve(router).await;
    let fetched = fetch(&format!("{url}/5")).await.unwrap();
    assert_eq!(body(&fetched), LIST);
    assert_eq!(fetched.answered.url, format!("{url}/0"));
    // Validators belong to who gave them: the redirect may lead elsewhere next time.
    let (asked, gave) = (format!("{url}/5"), Some(format!("{url}/0")));
    assert_eq!((&fetched.validators.url, &fetched.validators.from), (&asked, &gave));
    for (path, message) in [
        ("6", "more than 5 redirects"),
        ("loop", "a redirect to itself"),
        ("ftp", "a redirect to `ftp:`"),
        ("file", "a redirect to `file:`"),
        ("password", "a redirect with a password"),
        ("nowhere", "a redirect to nowhere"),
        ("bare", "the server says 302"),
    ] {
        let error = fetch(&format!("{url}/{path}")).await.unwrap_err();
        assert!(text(&error).contains(message), "{path}: {error}");
    }
}

#[tokio::test]
async fn private_addresses_need_leave() {
    let url = serve(Router::new().route("/list", get(|| async { LIST }))).await;
    // As it stands in the file it is refused already when the file is read.
    let text_of = format!(
        "{}",
        Feeds::read([(Path::new("x.toml"), &*format!("urls = [\"{url}/list\"]"))]).unwrap_err()
    );
    assert!(text_of.contains("127.0.0.1 is not a public address"), "{text_of}");
    // A name that leads there is found out when it is resolved.
    let by_name = format!("{}/list", url.replace("127.0.0.1", "localhost"));
    let closed = list(std::slice::from_ref(&by_name), false);
    let error = fetch_known(&closed, None).await.unwrap_err();
    assert!(
        text(&error).contains("localhost is at") && text(&error).contains("not a public address"),
        "{error}"
    );
    // And an address in a redirect when it is followed.
    let mut closed = closed;
    closed.source = Source::Urls(vec![format!("{url}/list").parse().unwrap()]);
    let error = fetch_known(&closed, None).await.unwrap_err();
    assert!(text(&error).ends_with("127.0.0.1 is not a public address"), "{error}");
    // With leave both are fine.
    let open = list(&[by_name], true);
    assert!(matches!(fetch_known(&open, None).await.unwrap(), Outcome::Fetched(_)));
}

#[tokio::test]
async fn bodies_are_stored_as_they_came() {
    use std::io::{Read, Write};
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(LIST.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let (file, encoded) = (packed.clone(), packed.clone());
    let url = serve(
        Router::new()
            .route("/list.gz", get(move || async move { file }))
            .route("/list", get(move || async move { ([(header::CONTENT_ENCODING, "gzip")], encoded) }))
            .route("/br", get(|| async { ([(header::CONTENT_ENCODING, "br")], "x") })),
    )
    .await;
    for path in ["list.gz", "list"] {
        let fetched = fetch(&format!("{url}/{path}")).await.unwrap();
        let stored = std::fs::File::open(fetched.body.path()).unwrap();
        assert_eq!(std::fs::read(fetched.body.path()).unwrap(), packed);
        let mut text = String::new();
        gatepost::feed::decode::decode(stored, 1000).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, LIST);
    }
    let error = fetch(&format!("{url}/br")).await.unwrap_err();
    assert!(text(&error).contains("packed with `br`"), "{error}");
}

#[tokio::test]
async fn the_next_address_is_tried_and_every_failure_is_named() {
    let url = serve(Router::new().route("/good", get(|| async { LIST }))).await;
    let half =
        raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\njunk that is longer than the list", close).await;
    let urls = [format!("{url}/missing"), half, format!("{url}/good")];
    let Outcome::Fetched(fetched) = fetch_known(&list(&urls, true), None).await.unwrap() else { panic!() };
    // Nothing of the first tries is left in it.
    assert_eq!(body(&fetched), LIST);
    assert_eq!(fetched.validators.url, urls[2]);
    assert_eq!(fetched.answered.before.len(), 2);
    let error = fetch_known(&list(&urls[..2], true), None).await.unwrap_err();
    assert_eq!(error.causes.len(), 2);
    assert!(urls[..2].iter().all(|url| text(&error).contains(url)), "{error}");
    assert_eq!(error.trouble(), Trouble::Answered);
}

/// The credential is shown to the host that it is for, and in nothing that is said.
#[tokio::test]
async fn credentials() {
    use std::os::unix::fs::PermissionsExt;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let note = move |headers: HeaderMap| {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        note.lock().unwrap().push((header("authorization"), header("x-api-key")));
    };
    let (first, second) = (note.clone(), note);
    let elsewhere = serve(Router::new().route(
        "/list",
        get(|headers| async move {
            second(headers);
            LIST
        }),
    ))
    .await;
    let to = format!("{elsewhere}/list");
    let url = serve(
        Router::new()
            .route(
                "/list",
                get(move |headers| {
                    first(headers);
                    let to = to.clone();
                    async move { (StatusCode::FOUND, [(header::LOCATION, to)]) }
                }),
            )
            .route("/no", get(|| async { StatusCode::UNAUTHORIZED })),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let with = |text: &str, path_of: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut list = list(&[format!("{url}/{path_of}")], true);
        list.credential = Some(Credential::File(path.clone()));
        list
    };
    for (text, shown) in [
        ("aladdin:open sesame\n", (Some("Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ=="), None)),
        ("Authorization: Bearer t0ken\n", (Some("Bearer t0ken"), None)),
        ("X-Api-Key: t0ken\n", (None, Some("t0ken"))),
    ] {
        assert!(fetch_known(&with(text, "list", 0o600), None).await.is_ok());
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let shown = (shown.0.map(str::to_owned), shown.1.map(str::to_owned));
        // Another port is another host.
        assert_eq!(seen, [shown, (None, None)]);
        let error = fetch_known(&with(text, "no", 0o600), None).await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Refused);
        assert!(!format!("{error} {error:?}").contains("t0ken"), "{error:?}");
    }
    let error = fetch_known(&with("a:b\n", "list", 0o644), None).await.unwrap_err();
    assert!(text(&error).contains("key: everybody on this machine may read") && !error.reached(), "{error}");
    let mut list = with("a:b\n", "list", 0o600);
    list.credential = Some(Credential::Service("made-up".to_owned()));
    let error = fetch_known(&list, None).await.unwrap_err();
    assert!(text(&error).contains("systemd:made-up: the service manager handed none over"), "{error}");
    assert!(seen.lock().unwrap().is_empty(), "nobody was asked");
}

/// What was agreed on by ALPN, and what was asked.
type Asked = Arc<Mutex<Vec<(Option<String>, String)>>>;

/// A server behind TLS that would rather speak HTTP/2, and the certificate of its own authority.
async fn secure(folder: &Path) -> (String, std::path::PathBuf, Asked) {
    use rustls::pki_types::pem::PemObject;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let path = folder.join("authority.pem");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes())
        .unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/list", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, asked) = (acceptor.clone(), asked.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let agreed = stream.get_ref().1.alpn_protocol();
                let agreed = agreed.map(|name| String::from_utf8_lossy(name).into_owned());
                let mut question = [0; 4096];
                let read = stream.read(&mut question).await.unwrap_or(0);
                asked.lock().unwrap().push((agreed, String::from_utf8_lossy(&question[..read]).into_owned()));
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{LIST}", LIST.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (url, path, seen)
}

/// HTTP/2 is not spoken, also where a server offers it: what breaks off there may look as if it were whole.
#[tokio::test]
async fn nothing_but_http_1_1() {
    let folder = tempfile::tempdir().unwrap();
    let (url, path, seen) = secure(folder.path()).await;
    let fetcher = Fetcher::new(&SyncKeys { ca_file: Some(path), ..sync() }, Times::default());
    let (known, body) = (Known::default(), NamedTempFile::new().unwrap());
    let came = fetcher.fetch(&list(&[url], true), &known, body, &|_| {}).await;
    assert!(matches!(came, Ok(Outcome::Fetched(_))), "{came:?}");
    let seen = seen.lock().unwrap();
    let [(agreed, question)] = &seen[..] else { panic!("{seen:?}") };
    assert_ne!(agreed.as_deref(), Some("h2"));
    assert!(question.starts_with("GET /list HTTP/1.1\r\n"), "{question}");
}

/// An authority of one's own vouches when it is named, and not when it is not.
#[tokio::test]
async fn certificates_of_an_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (url, path, _) = secure(folder.path()).await;
    let list = list(&[url], true);
    let asked = |ca_file: Option<std::path::PathBuf>| {
        let fetcher = Fetcher::new(&SyncKeys { ca_file, ..sync() }, Times::default());
        let list = list.clone();
        async move { fetcher.fetch(&list, &Known::default(), NamedTempFile::new().unwrap(), &|_| {}).await }
    };
    let error = asked(None).await.unwrap_err();
    assert!(error.reached() && text(&error).to_lowercase().contains("certificate"), "{error}");
    assert!(matches!(asked(Some(path.clone())).await.unwrap(), Outcome::Fetched(_)));
    for (text_of, said) in [(None, "cannot read it"), (Some("nothing"), "no certificate in it")] {
        match text_of {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = asked(Some(path.clone())).await.unwrap_err();
        assert!(text(&error).contains("ca-file ") && text(&error).contains(said), "{error}");
    }
}

/// A proxy is asked, the environment's is not.
#[tokio::test]
async fn a_proxy_of_the_configuration() {
    let url = serve(Router::new().fallback(|uri: axum::http::Uri| async move {
        assert_eq!(uri.to_string(), "http://lists.example.net/list");
        LIST
    }))
    .await;
    let proxy = Some(url.parse().unwrap());
    let fetcher = Fetcher::new(&SyncKeys { proxy, ..sync() }, Times::default());
    let list = list(&["http://lists.example.net/list".to_owned()], false);
    let outcome =
        fetcher.fetch(&list, &Known::default(), NamedTempFile::new().unwrap(), &|_| {}).await.unwrap();
    let Outcome::Fetched(fetched) = outcome else { panic!("{outcome:?}") };
    assert_eq!(body(&fetched), LIST);
}

/// One that demands a password gets that of the configuration, and nothing that is said has it.
#[tokio::test]
async fn a_proxy_that_demands_a_password() {
    // bWU6b3BlbiBzZXNhbWU= is me:open sesame.
    let url = serve(Router::new().fallback(|headers: HeaderMap| async move {
        match headers.get("proxy-authorization").map(|value| value.to_str().unwrap().to_owned()) {
            Some(shown) if shown == "Basic bWU6b3BlbiBzZXNhbWU=" => {
                assert!(!headers.contains_key("authorization"));
                // It says the password again, where it would be remembered.
                ([("etag", "\"open sesame\"".to_owned())], LIST).into_response()
            }
            _ => StatusCode::PROXY_AUTHENTICATION_REQUIRED.into_response(),
        }
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy");
    let asked = |line: Option<&str>, mode| {
        if let Some(line) = line {
            std::fs::write(&file, line).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let proxy = Some(url.parse().unwrap());
        let proxy_credential = line.map(|_| Credential::File(file.clone()));
        let fetcher = Fetcher::new(&SyncKeys { proxy, proxy_credential, ..sync() }, Times::default());
        async move {
            let list = list(&["http://lists.example.net/list".to_owned()], false);
            fetcher.fetch(&list, &Known::default(), NamedTempFile::new().unwrap(), &|_| {}).await
        }
    };
    let Ok(Outcome::Fetched(fetched)) = asked(Some("me:open sesame\n"), 0o600).await else { panic!() };
    assert_eq!((body(&fetched), fetched.validators.etag), (LIST.to_owned(), None));
    for (line, mode, said) in [
        (None, 0o600, "the proxy says 407"),
        (Some("me:another\n"), 0o600, "the proxy says 407"),
        (Some("me:open sesame\n"), 0o644, "everybody on this machine may read"),
        (Some("X-Key: 1\n"), 0o600, "a proxy takes a credential `USER:PASSWORD` only"),
    ] {
        let error = asked(line, mode).await.unwrap_err();
        assert!(error.to_string().contains(said) && !error.to_string().contains("sesame"), "{error}");
        assert_eq!(error.trouble(), Trouble::Unreached, "the publisher was not asked: {error}");
    }
}
