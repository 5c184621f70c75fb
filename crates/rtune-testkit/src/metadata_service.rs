use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const TOKEN: &str = "/latest/api/token";

/// A server at a loopback address that speaks the protocol of the instance metadata service of
/// AWS, version 2, as a spot instance without notices has it.
///
/// Questions without a token that it gave are answered with 401, and paths that it does not have
/// with 404. It ends when it is dropped.
#[derive(Debug)]
pub struct MetadataService {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Status and body of a path.
    answers: HashMap<String, (u16, String)>,
    valid: Vec<String>,
    tokens: usize,
}

impl MetadataService {
    /// Starts a server.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (state, ended) = (Arc::clone(&state), Arc::clone(&ended));
            move || {
                for stream in listener.incoming() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that has gone away is none of the server's business.
                    let _ = stream.and_then(|stream| serve(&stream, &state));
                }
            }
        });
        let service = Self {
            address,
            state,
            ended,
            thread: Some(thread),
        };
        service.set("/latest/meta-data/instance-life-cycle", 200, "spot");
        service
    }

    /// The address, such as `http://127.0.0.1:40001`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the answer of a path, also that of the tokens.
    pub fn set(&self, path: &str, status: u16, body: &str) {
        let mut state = self.state.lock().unwrap();
        state
            .answers
            .insert(path.to_owned(), (status, body.to_owned()));
    }

    /// The number of tokens that were given.
    pub fn tokens(&self) -> usize {
        self.state.lock().unwrap().tokens
    }

    /// Makes all tokens invalid, as their age does.
    pub fn forget_tokens(&self) {
        self.state.lock().unwrap().valid.clear();
    }
}

impl Drop for MetadataService {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The thread waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = line.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    let mut state = state.lock().unwrap();
    let set = state.answers.get(path).cloned();
    let (status, body) = match (method, path) {
        ("PUT", TOKEN) => {
            let seconds = header("x-aws-ec2-metadata-token-ttl-seconds").parse::<u32>();
            if let Some(set) = set {
                set
            } else if seconds.is_ok_and(|seconds| (1..=21600).contains(&seconds)) {
                state.tokens += 1;
                let token = format!("AQAEA{}==", state.tokens);
                state.valid.push(token.clone());
                (200, token)
            } else {
                (400, String::new())
            }
        }
        ("GET", _) => {
            let token = header("x-aws-ec2-metadata-token");
            match state.valid.iter().any(|valid| valid == token) {
                true => set.unwrap_or((404, "not found".to_owned())),
                false => (401, String::new()),
            }
        }
        _ => (405, String::new()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
    let mut stream = stream;
    stream.write_all(format!("{head}Content-Type: text/plain\r\n\r\n{body}").as_bytes())
}
