//! What is refused before there is a request: a head that nobody can read, or that never ends.
//!
//! actix-http answers these by itself, with an empty body, and has no hook for it. Its refusal is the last
//! thing that it writes on a connection, so it is completed there: the status stays, a SCIM error (RFC 7644
//! §3.12) and a request id come with it. Which endpoint was meant, nobody knows.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use actix_http::HttpService;
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use tokio::sync::Semaphore;

use super::connections::Connections;
use super::handle::REQUEST_ID;
use super::respond::SCIM_JSON;
use super::{DISCONNECT_TIMEOUT, HEADER_TIMEOUT, Shared, app};
use crate::scim;

/// A refusal without a body is never longer.
const REFUSAL_BYTES_MAX: usize = 512;

/// The service of one worker: connections in, answers out.
pub(super) fn service(
    shared: Shared,
    connections: Arc<Connections>,
    address: SocketAddr,
    shutdown: GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = actix_http::error::DispatchError, InitError = ()>
{
    let signal = move || {
        let shutdown = shutdown.clone();
        async move { shutdown.notified().await }
    };
    let application = app(shared.clone()).into_factory().map_err(|error| error.error_response());
    let settings = shared.clone();
    let protocol = HttpService::build()
        .on_connect_ext(move |wire: &Wire, kept| {
            connections.enter(&wire.stream, kept, |peer| settings.admits(Some(peer)));
            kept.insert(wire.departure.clone());
        })
        .graceful_shutdown_signal(signal)
        .client_request_timeout(HEADER_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .local_addr(address)
        .h1(map_config(application, |_| AppConfig::default()));
    let connection = fn_service(move |stream: TcpStream| {
        let peer = stream.peer_addr().ok();
        // The last piece of a long answer would wait until the client has acknowledged the one before, which
        // clients put off for 40 ms.
        let _ = stream.set_nodelay(true);
        let departure = Departure(Arc::new(Semaphore::new(0)));
        let wire = Wire { stream, departure, shared: shared.clone(), line: Line::default(), refusal: None };
        std::future::ready(Ok((wire, peer)))
    });
    connection.and_then(protocol)
}

/// Tells when a client has ended its side of a connection: it waits for no answer any more.
#[derive(Clone)]
pub(super) struct Departure(Arc<Semaphore>);

impl Departure {
    /// Waits for that.
    pub(super) async fn seen(&self) {
        // There are no permits: it fails once it is closed.
        drop(self.0.acquire().await);
    }
}

/// The line that a request begins with, as far as it has been read.
#[derive(Default)]
struct Line {
    bytes: usize,
    is_over: bool,
}

impl Line {
    fn read(&mut self, new: &[u8]) {
        if !self.is_over {
            let end = new.iter().position(|byte| *byte == b'\n');
            (self.bytes, self.is_over) = (self.bytes + end.unwrap_or(new.len()), end.is_some());
        }
    }

    /// Whether it is why actix-http gives up: it reads no longer URL.
    fn is_long(&self) -> bool {
        self.bytes >= usize::from(u16::MAX)
    }
}

/// A connection.
struct Wire {
    stream: TcpStream,
    departure: Departure,
    shared: Shared,
    line: Line,
    /// What is written instead of an empty refusal, and how much of it has been.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Wire {
    /// Writes the refusal in place of the bytes that are left of an empty one.
    fn poll_refuse(&mut self, context: &mut Context<'_>, instead_of: usize) -> Poll<io::Result<usize>> {
        while let Some((bytes, written)) = &mut self.refusal {
            let rest = bytes.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            *written += ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
        }
        self.refusal = None;
        Poll::Ready(Ok(instead_of))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before && buffer.remaining() > 0 {
            self.departure.0.close();
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.line.read(new);
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some((before, head)) = empty_refusal(bytes) else {
            // What is read next begins another request.
            self.line = Line::default();
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        if !before.is_empty() {
            return Pin::new(&mut self.stream).poll_write(context, before);
        }
        if self.refusal.is_none() {
            let id = self.shared.service.mint().to_string();
            let peer = self.stream.peer_addr().ok();
            let head = if self.line.is_long() { TOO_LONG } else { head };
            self.refusal = Some((complete(head, &id, peer).into_bytes(), 0));
        }
        self.poll_refuse(context, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

const EMPTY: &str = "content-length: 0\r\n";
/// What is said instead of 400 or 431 where the URL is why (RFC 9110 §15.5.15).
const TOO_LONG: &str = "HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What precedes an empty refusal at the end of these bytes, and the refusal. Every answer of ours has a
/// request id, and JSON holds no bare CR, so that no body can look like one.
fn empty_refusal(bytes: &[u8]) -> Option<(&[u8], &str)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail = bytes.get(bytes.len().saturating_sub(REFUSAL_BYTES_MAX)..)?;
    let starts = |window: &[u8]| window.starts_with(b"HTTP/1.1 4") || window.starts_with(b"HTTP/1.1 5");
    let at = tail.windows(b"HTTP/1.1 4".len()).rposition(starts)?;
    let head = std::str::from_utf8(tail.get(at..)?).ok()?;
    let is_one = head.find("\r\n\r\n") == Some(head.len() - 4);
    (is_one && head.contains(EMPTY) && !head.contains(REQUEST_ID))
        .then_some((bytes.get(..bytes.len() - head.len())?, head))
}

/// The refusal with everything that an answer of ours has. The connection ends with it.
fn complete(head: &str, id: &str, peer: Option<SocketAddr>) -> String {
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(400);
    let detail = match status {
        408 => format!("the head of the request did not arrive in {} seconds", HEADER_TIMEOUT.as_secs()),
        414 => super::extract::URL_TOO_LONG.to_owned(),
        431 => "the header fields are too large or too many".to_owned(),
        400 => "the request's head or the framing of its body is malformed; a URL holds no blank, \", <, > or ` but \
                percent-encoded (%20, %22, %3C, %3E, %60)"
            .to_owned(),
        _ => format!("internal error, request {id}"),
    };
    log::info!(request = id, status, from = peer.map(|peer| peer.ip().to_string()); "refused: {detail}");
    let body = scim::Error::status(status, detail).body().to_string();
    let close = if head.contains("connection: close") { "" } else { "connection: close\r\n" };
    let fields =
        format!("content-length: {}\r\ncontent-type: {SCIM_JSON}\r\n{REQUEST_ID}: {id}\r\n{close}", body.len());
    head.replacen(EMPTY, &fields, 1) + &body
}

#[cfg(test)]
mod tests {
    use super::empty_refusal;

    fn check(written: &str, expected: Option<&str>) {
        assert_eq!(
            empty_refusal(written.as_bytes()).map(|(before, _)| before),
            expected.map(str::as_bytes),
            "{written}"
        );
    }

    #[test]
    fn only_what_ends_in_an_empty_refusal_is_completed() {
        let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let ours = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n";
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        check(bare, Some(""));
        check(&format!("{ours}{bare}"), Some(ours));
        check(&format!("{good}{bare}"), Some(good));
        check(&format!("{bare}{good}"), None);
        check(&format!("{bare}x"), None);
        check(ours, None);
        check(good, None);
        check("", None);
    }
}
