//! A server that is no desk, or stands before one and does something in between.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::asked::Asked;

pub struct Impostor {
    pub url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Impostor {
    /// Answers whatever is asked with these bytes.
    pub fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::doing(move |_| answer.clone())
    }

    /// Answers each request with what comes of it.
    pub fn doing(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let (listener, heard) = begin();
        let impostor = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            heard: Arc::clone(&heard),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&mut stream.unwrap(), &heard, &answer);
            }
        });
        impostor
    }

    /// The same by TLS, with `server.pem` and `server.key` of a folder.
    pub fn behind_tls(folder: &Path, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("server.pem"))
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let (listener, heard) = begin();
        let impostor = Self {
            url: format!("https://{}", listener.local_addr().unwrap()),
            heard: Arc::clone(&heard),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                serve(&mut stream, &heard, &answer);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        impostor
    }

    /// Every request so far, head and body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn begin() -> (TcpListener, Arc<Mutex<Vec<String>>>) {
    (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::default())
}

fn serve(stream: &mut (impl Read + Write), heard: &Mutex<Vec<String>>, answer: &impl Fn(&str) -> Vec<u8>) {
    let request = request(stream);
    if request.is_empty() {
        return;
    }
    heard.lock().unwrap().push(request.clone());
    // Whoever has read enough closes.
    let _ = stream.write_all(&answer(&request));
}

/// One request; nothing where there is none.
fn request(stream: &mut impl Read) -> String {
    let (mut bytes, mut one) = (Vec::<u8>::new(), [0_u8]);
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut one) {
            Ok(1) => bytes.push(one[0]),
            _ => return String::new(),
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// What a desk answers to a request.
pub fn passed_on(to: Asked, request: &str) -> Vec<u8> {
    let answer = to.say(request);
    format!("{}\r\n\r\n{}", answer.head_as_it_came, answer.body).into_bytes()
}

/// An answer.
pub fn http(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}
