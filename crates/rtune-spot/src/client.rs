use crate::Endpoint;
use crate::http::{Request, Response, send};
use serde::Deserialize;
use std::io;
use std::time::Duration;

const TOKEN: &str = "/latest/api/token";
const LIFE_CYCLE: &str = "/latest/meta-data/instance-life-cycle";
const INTERRUPTION: &str = "/latest/meta-data/spot/instance-action";
const REBALANCE: &str = "/latest/meta-data/events/recommendations/rebalance";

/// How long a token is valid, in seconds; the most that the service allows.
const TOKEN_SECONDS: &str = "21600";

/// The limit of one exchange. The service is a part of the machine and answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// The end of a spot instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Interruption {
    /// `terminate`, `stop` or `hibernate`.
    pub action: String,
    /// The time of it in ISO 8601, in UTC. Two minutes after the notice, as a rule.
    pub time: String,
}

/// The answer to the question for a recommendation.
#[derive(Deserialize)]
struct Recommendation {
    #[serde(rename = "noticeTime")]
    notice_time: String,
}

/// An answer of the service, or the absence of one, that says nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpotError {
    /// No answer, or one that is not HTTP.
    #[error("the metadata service at {endpoint} does not answer: {source}")]
    Unreachable {
        /// The address.
        endpoint: Endpoint,
        /// The error.
        source: io::Error,
    },
    /// No token was given.
    #[error(
        "the metadata service at {endpoint} gives no token, status {status}; it may be switched \
         off for this instance, or the address is another service's"
    )]
    NoToken {
        /// The address.
        endpoint: Endpoint,
        /// The status of the answer.
        status: u16,
    },
    /// An answer that the protocol does not have.
    #[error("the metadata service at {endpoint} answers {path} with {problem}")]
    Answer {
        /// The address.
        endpoint: Endpoint,
        /// The path that was asked for.
        path: &'static str,
        /// The status or the content.
        problem: String,
    },
}

/// A client of the instance metadata service, version 2.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    token: Option<String>,
    limit: Duration,
}

impl Client {
    /// A client of the service at an address. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            token: None,
            limit: LIMIT,
        }
    }

    /// The address.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Returns the life cycle of the machine: `spot`, `on-demand`, `scheduled` or
    /// `capacity-block`.
    ///
    /// # Errors
    /// If the service does not answer, or not as the protocol says.
    pub fn life_cycle(&mut self) -> Result<String, SpotError> {
        let text = self.get(LIFE_CYCLE)?;
        let is_word = |text: &&String| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        match text.as_ref().filter(is_word) {
            Some(word) if !word.is_empty() => Ok(word.clone()),
            _ => Err(self.unexpected(LIFE_CYCLE, text.as_deref())),
        }
    }

    /// Returns the end of this machine, if it was announced.
    ///
    /// # Errors
    /// As [`Client::life_cycle`].
    pub fn interruption(&mut self) -> Result<Option<Interruption>, SpotError> {
        self.json(INTERRUPTION)
    }

    /// Returns when AWS has recommended to move the work to another machine, if it has.
    ///
    /// # Errors
    /// As [`Client::life_cycle`].
    pub fn rebalance(&mut self) -> Result<Option<String>, SpotError> {
        let found: Option<Recommendation> = self.json(REBALANCE)?;
        Ok(found.map(|recommendation| recommendation.notice_time))
    }

    fn json<T: for<'a> Deserialize<'a>>(
        &mut self,
        path: &'static str,
    ) -> Result<Option<T>, SpotError> {
        let Some(text) = self.get(path)? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.unexpected(path, Some(&text))),
        }
    }

    /// Returns the content of a path; none if there is nothing.
    fn get(&mut self, path: &'static str) -> Result<Option<String>, SpotError> {
        let mut response = self.get_once(path)?;
        if response.status == 401 {
            // The token is too old, or the machine was moved to another host.
            self.token = None;
            response = self.get_once(path)?;
        }
        let answer = |problem| SpotError::Answer {
            endpoint: self.endpoint,
            path,
            problem,
        };
        match response.status {
            200 => String::from_utf8(response.body)
                .map(Some)
                .map_err(|_| answer("bytes that are not UTF-8".to_owned())),
            404 => Ok(None),
            status => Err(answer(format!("status {status}"))),
        }
    }

    fn get_once(&mut self, path: &str) -> Result<Response, SpotError> {
        let token = match self.token.take() {
            Some(token) => token,
            None => self.new_token()?,
        };
        let response = self.send(&Request {
            method: "GET",
            path,
            header: ("X-aws-ec2-metadata-token", &token),
        });
        self.token = Some(token);
        response
    }

    fn new_token(&self) -> Result<String, SpotError> {
        let response = self.send(&Request {
            method: "PUT",
            path: TOKEN,
            header: ("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS),
        })?;
        let token = String::from_utf8(response.body).unwrap_or_default();
        // It becomes a part of a header.
        let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        match (response.status, is_token) {
            (200, true) => Ok(token),
            (status, _) => Err(SpotError::NoToken {
                endpoint: self.endpoint,
                status,
            }),
        }
    }

    fn send(&self, request: &Request<'_>) -> Result<Response, SpotError> {
        let endpoint = self.endpoint;
        send(endpoint, request, self.limit)
            .map_err(|source| SpotError::Unreachable { endpoint, source })
    }

    fn unexpected(&self, path: &'static str, text: Option<&str>) -> SpotError {
        const SHOWN: usize = 80;
        let problem = match text {
            None => "status 404".to_owned(),
            Some(text) => format!("`{}`", text.chars().take(SHOWN).collect::<String>()),
        };
        SpotError::Answer {
            endpoint: self.endpoint,
            path,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_testkit::MetadataService;
    use std::net::TcpListener;
    use std::time::Instant;

    fn client(service: &MetadataService) -> Client {
        Client::new(service.address().parse().unwrap())
    }

    fn message<T>(result: Result<T, SpotError>, endpoint: &str) -> String {
        let error = result.err().unwrap();
        error.to_string().replace(endpoint, "[S]")
    }

    #[test]
    fn notices_are_found_with_a_token() {
        let service = MetadataService::start();
        let mut client = client(&service);
        assert_eq!(client.life_cycle().unwrap(), "spot");
        assert_eq!(client.interruption().unwrap(), None);
        assert_eq!(client.rebalance().unwrap(), None);
        service.set(
            INTERRUPTION,
            200,
            r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#,
        );
        let interruption = Interruption {
            action: "terminate".to_owned(),
            time: "2026-09-18T08:22:00Z".to_owned(),
        };
        assert_eq!(client.interruption().unwrap(), Some(interruption));
        service.set(REBALANCE, 200, r#"{"noticeTime": "2026-09-18T08:20:00Z"}"#);
        let time = "2026-09-18T08:20:00Z".to_owned();
        assert_eq!(client.rebalance().unwrap(), Some(time));
        assert_eq!(service.tokens(), 1);
        service.forget_tokens();
        assert!(client.rebalance().unwrap().is_some());
        assert_eq!(service.tokens(), 2);
    }

    #[test]
    fn answers_outside_of_the_protocol_are_errors() {
        let service = MetadataService::start();
        let mut client = client(&service);
        let endpoint = service.address();
        for (status, body, problem) in [
            (200, "<html>", "`<html>`"),
            (200, r#"{"action": 1}"#, r#"`{"action": 1}`"#),
            (503, "", "status 503"),
        ] {
            service.set(INTERRUPTION, status, body);
            let expected =
                format!("the metadata service at [S] answers {INTERRUPTION} with {problem}");
            assert_eq!(message(client.interruption(), &endpoint), expected);
        }
        for (status, body) in [(404, ""), (200, ""), (200, "<html>")] {
            service.set(LIFE_CYCLE, status, body);
            assert!(client.life_cycle().is_err(), "{status} {body}");
        }
        for (status, body) in [(403, ""), (200, ""), (200, "a\r\nb")] {
            service.forget_tokens();
            service.set(TOKEN, status, body);
            let expected = format!(
                "the metadata service at [S] gives no token, status {status}; it may be switched \
                 off for this instance, or the address is another service's"
            );
            assert_eq!(message(client.interruption(), &endpoint), expected);
        }
    }

    #[test]
    fn a_service_that_is_not_there_or_says_nothing_is_an_error_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut client = Client::new(endpoint.parse().unwrap());
        client.limit = Duration::from_millis(200);
        let start = Instant::now();
        let expected = "the metadata service at [S] does not answer: ";
        assert!(message(client.life_cycle(), &endpoint).starts_with(expected));
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(listener);
        assert!(message(client.life_cycle(), &endpoint).starts_with(expected));
    }
}
