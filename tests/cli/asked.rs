//! A listener that is asked, as a probe would: one request, one answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where a worker listens.
#[derive(Clone, Copy)]
pub struct Asked(pub SocketAddr);

pub struct Answer {
    pub status: u16,
    /// In lower case, for looking things up.
    pub head: String,
    #[allow(dead_code, reason = "cookies are read from it, in the suite of the desk alone")]
    pub head_as_it_came: String,
    pub body: String,
}

impl Asked {
    /// An address that nobody has now.
    pub fn free() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
    }

    /// The setting for a worker that shall listen there.
    pub fn setting(self) -> (&'static str, String) {
        ("LAZARET_ADMIN", self.0.to_string())
    }

    pub fn connect(self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.0, Duration::from_secs(10)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub fn get(self, path: &str) -> Answer {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: lazaret\r\n\r\n"))
    }

    /// Sends bytes; what comes back until the other end closes.
    pub fn say(self, request: &str) -> Answer {
        let mut stream = self.connect();
        // An answer may come, and the other end close, before all was said.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        // Closed with bytes of ours unread is a reset; what was answered before counts.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("{text:?}")),
            head: head.to_lowercase(),
            head_as_it_came: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Asks so many times, tells how long it took, and holds the worker to its word: nearly all answers within a second, and none later than a connection
    /// may live; the rest is the machine's.
    #[allow(clippy::disallowed_methods, reason = "a test measures")]
    pub fn answers_soon(self, path: &str, count: usize, meanwhile: &str) {
        let timed = |_| {
            let since = Instant::now();
            let answer = self.get(path);
            assert!(!answer.body.contains("no answer within a second"), "{path} {meanwhile}");
            since.elapsed()
        };
        let mut times: Vec<Duration> = (0..count).map(timed).collect();
        times.sort_unstable();
        let longest = times[count - 1];
        println!("{count} {path} {meanwhile}: p99 {:?}, longest {longest:?}", p99(&times));
        assert!(p99(&times) < Duration::from_secs(1), "{times:?}");
        assert!(longest < Duration::from_secs(10), "{longest:?}");
    }

    /// A metric's value.
    pub fn metric(self, series: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        let value = line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok());
        value.unwrap_or_else(|| panic!("{series} in\n{text}"))
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Causes of what stands in the way.
    pub fn causes(&self) -> Vec<String> {
        let json = self.json();
        let reasons = json["reasons"].as_array().unwrap().iter();
        reasons
            .map(|reason| reason["cause"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The 99th of a hundred.
pub fn p99(times: &[Duration]) -> Duration {
    times[(times.len() * 99).div_ceil(100) - 1]
}
