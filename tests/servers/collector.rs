//! A collector of traces: takes what workers post to it, and reads of OTLP's protobuf what tests ask about.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Well,
    /// Reads it, and never answers.
    Silent,
}

/// A collector on a port of its own, for as long as the test process runs.
pub struct Collector {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

/// What came so far.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Requests, each with its line and headers.
    pub requests: Vec<Vec<String>>,
    pub spans: Vec<Span>,
}

/// A span, as it was sent.
#[derive(Debug, Clone, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty, where it has none.
    pub parent: String,
    pub name: String,
    /// 1 internal, 4 producer, 5 consumer.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    /// 0 unset, 2 error.
    pub status: u64,
    /// Its own and, as `resource.…`, its resource's.
    pub attributes: BTreeMap<String, String>,
    /// Log lines that came along.
    pub events: usize,
}

impl Collector {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<Mutex<Heard>>::default());
        let hears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, hears) = (stream.unwrap(), Arc::clone(&hears));
                thread::spawn(move || answer(stream, manner, &hears));
            }
        });
        Self { address, heard }
    }

    /// As `traces.endpoint` has it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }
}

impl Heard {
    /// The root of a job: the span that this worker had it in.
    pub fn root(&self, job: &str) -> &Span {
        let is_root = |span: &&Span| span.attribute("messaging.message.id") == job && span.kind == 5;
        let mut roots = self.spans.iter().filter(is_root);
        let root = roots
            .next()
            .unwrap_or_else(|| panic!("no span of {job}: {:#?}", self.spans));
        assert!(roots.next().is_none(), "{job} was in hand twice");
        root
    }

    /// What lies directly below a span, in the order of their beginnings.
    pub fn below(&self, span: &Span) -> Vec<&Span> {
        let mut below: Vec<_> = self.spans.iter().filter(|other| other.parent == span.id).collect();
        below.sort_by_key(|span| span.start);
        below
    }
}

impl Span {
    /// Its text; empty where there is none.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// As W3C Trace Context has it, where it is recorded.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

fn answer(stream: TcpStream, manner: Manner, heard: &Mutex<Heard>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // Whoever connects and says nothing was not meant.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    {
        let mut heard = heard.lock().unwrap();
        heard.requests.push(head);
        heard.spans.extend(spans(&body));
    }
    match manner {
        Manner::Well => {
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
        // Until the other side has had enough.
        Manner::Silent => drop(reader.read(&mut [0])),
    }
}

/// One field of a message.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Value<'b> {
    fn bytes(&self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} is no message"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("{bytes:?} is no number"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }

    fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The fields of a message, with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(number(&mut bytes)),
            1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = number(&mut bytes) as usize;
                Value::Bytes(take(&mut bytes, length))
            }
            5 => Value::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            other => panic!("no wire type: {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

/// Messages at a path of field numbers.
fn at<'b>(bytes: &'b [u8], path: &[u64]) -> Vec<&'b [u8]> {
    let Some((first, rest)) = path.split_first() else {
        return vec![bytes];
    };
    let inner = fields(bytes).into_iter().filter(|(field, _)| field == first);
    inner.flat_map(|(_, value)| at(value.bytes(), rest)).collect()
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in at(request, &[1]) {
        let resource: BTreeMap<_, _> = at(of_resource, &[1, 1]).into_iter().map(attribute).collect();
        let named = resource
            .into_iter()
            .map(|(key, value)| (format!("resource.{key}"), value));
        let named: BTreeMap<_, _> = named.collect();
        for message in at(of_resource, &[2, 2]) {
            let mut span = Span {
                attributes: named.clone(),
                ..Span::default()
            };
            for (field, value) in fields(message) {
                match field {
                    1 => span.trace = value.hex(),
                    2 => span.id = value.hex(),
                    4 => span.parent = value.hex(),
                    5 => span.name = value.text(),
                    6 => span.kind = value.number(),
                    7 => span.start = value.number(),
                    8 => span.end = value.number(),
                    9 => span.attributes.extend([attribute(value.bytes())]),
                    11 => span.events += 1,
                    15 => {
                        let code = fields(value.bytes()).into_iter().find(|(field, _)| *field == 3);
                        span.status = code.map_or(0, |(_, code)| code.number());
                    }
                    _ => {}
                }
            }
            spans.push(span);
        }
    }
    spans
}

/// A `KeyValue`, its value as text.
fn attribute(message: &[u8]) -> (String, String) {
    let (mut key, mut text) = (String::new(), String::new());
    for (field, value) in fields(message) {
        match field {
            1 => key = value.text(),
            2 => {
                for (kind, value) in fields(value.bytes()) {
                    text = match kind {
                        1 => value.text(),
                        2 => (value.number() != 0).to_string(),
                        3 => value.number().to_string(),
                        other => panic!("{key}: a value of a kind that no worker sends: {other}"),
                    };
                }
            }
            other => panic!("no field of an attribute: {other}"),
        }
    }
    (key, text)
}
