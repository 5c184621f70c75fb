//! One exchange of HTTP/1.1 with a limit of time and size.

use crate::Endpoint;
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The largest answer in bytes. The answers of the service have less than 1 KiB.
const LONGEST: usize = 64 * 1024;

/// A request without body.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// A header beside those that every request has.
    pub(crate) header: (&'a str, &'a str),
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Sends a request and reads the answer, all within `limit`.
///
/// # Errors
/// If there is no connection, no answer in time, or the answer is not HTTP or too long.
pub(crate) fn send(endpoint: Endpoint, request: &Request<'_>, limit: Duration) -> Result<Response> {
    let deadline = Instant::now() + limit;
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(Error::from(ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&endpoint.address(), left()?)?;
    let Request {
        method,
        path,
        header: (name, value),
    } = request;
    let host = endpoint.to_string();
    let host = host.trim_start_matches("http://");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\
         {name}: {value}\r\n\r\n"
    );
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(head.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        stream.set_read_timeout(Some(left()?))?;
        let count = match stream.read(&mut part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Unix calls a timeout of a socket `WouldBlock`.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            count => count?,
        };
        answer.extend_from_slice(&part[..count]);
        if let Some(response) = parse(&answer, count == 0)? {
            return Ok(response);
        }
        if answer.len() > LONGEST {
            return Err(invalid("the answer is too long"));
        }
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}

/// Parses an answer; none if it is not complete. `ended` says that no more bytes come.
fn parse(answer: &[u8], ended: bool) -> Result<Option<Response>> {
    let incomplete = || match ended {
        true => Err(invalid("the answer is cut off or not HTTP")),
        false => Ok(None),
    };
    let Some(at) = find(answer, b"\r\n\r\n") else {
        return incomplete();
    };
    let head = std::str::from_utf8(&answer[..at]).map_err(|_| invalid("not HTTP"))?;
    let body = &answer[at + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(status);
    let status = status.ok_or_else(|| invalid("not HTTP"))?;
    let header = |name: &str| {
        let fields = lines.clone().filter_map(|line| line.split_once(':'));
        let mut fields = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.trim())
    };
    let chunked = |value: &str| value.eq_ignore_ascii_case("chunked");
    let body = if header("Transfer-Encoding").is_some_and(chunked) {
        match chunks(body)? {
            Some(body) => body,
            None => return incomplete(),
        }
    } else if let Some(length) = header("Content-Length") {
        let length: usize = length.parse().map_err(|_| invalid("not HTTP"))?;
        match body.get(..length) {
            Some(body) => body.to_vec(),
            None => return incomplete(),
        }
    } else if ended {
        body.to_vec()
    } else {
        return Ok(None);
    };
    Ok(Some(Response { status, body }))
}

/// The status of a line such as `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let version = words.next()?;
    let status = words.next()?;
    (version.starts_with("HTTP/1.") && status.len() == 3)
        .then(|| status.parse().ok())
        .flatten()
}

/// The content of a body in chunks; none if it is not complete.
fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(at) = find(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&rest[..at]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| invalid("not HTTP"))?;
        if size == 0 {
            return Ok(Some(body));
        }
        let chunk = rest[at + 2..].get(..size);
        let after = size.checked_add(at + 4).and_then(|after| rest.get(after..));
        let (Some(chunk), Some(after)) = (chunk, after) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        rest = after;
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: &str, ended: bool) -> Result<Option<(u16, String)>> {
        let text = |body| String::from_utf8(body).unwrap_or_default();
        let response = parse(answer.as_bytes(), ended)?;
        Ok(response.map(|response| (response.status, text(response.body))))
    }

    #[test]
    fn answers_end_as_their_headers_say() {
        for (answer, complete_at, status, body) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken",
                None,
                200,
                "token",
            ),
            (
                "HTTP/1.0 404 Not Found\r\ncontent-length:0\r\n\r\n",
                None,
                404,
                "",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntok\r\n2;x=y\r\nen\r\n\
                 0\r\n\r\n",
                Some(2),
                200,
                "token",
            ),
        ] {
            let end = answer.len() - complete_at.unwrap_or(0);
            for length in 0..end {
                let found = parsed(&answer[..length], false);
                assert_eq!(found.ok(), Some(None), "{:?}", &answer[..length]);
                assert!(parsed(&answer[..length], true).is_err(), "{length}");
            }
            let expected = Some((status, body.to_owned()));
            assert_eq!(parsed(answer, false).ok(), Some(expected.clone()));
            assert_eq!(parsed(answer, true).ok(), Some(expected));
        }
        let unsized_answer = "HTTP/1.1 200 OK\r\n\r\ntoken";
        assert_eq!(parsed(unsized_answer, false).ok(), Some(None));
        let expected = Some((200, "token".to_owned()));
        assert_eq!(parsed(unsized_answer, true).ok(), Some(expected));
    }

    #[test]
    fn other_protocols_are_errors() {
        for answer in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(parsed(answer, false).is_err(), "{answer}");
        }
        let huge = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert_eq!(parsed(huge, false).ok(), Some(None));
    }
}
