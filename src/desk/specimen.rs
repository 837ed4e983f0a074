//! The bytes of an upload that was held: another try, a copy for whoever examines it, and their deletion.
//!
//! A copy comes as text (base64 between two lines that say what it is), as a file to be saved: no viewer, thumbnailer or scanner on its way opens it by
//! accident. `sed '/^-/d' FILE | base64 -d` gives the bytes back. They are not looked at here.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use tokio::task::spawn_blocking;

use super::Desk;
use super::account::Role;
use super::form::Form;
use super::held::{dossier, known};
use super::refusal::{Code, Refusal};
use super::retest::begin;
use super::visitor::Visitor;
use crate::digest::Digest;
use crate::ledger::{Entry, Operator};
use crate::quarantine::Action;

/// Bytes of a line.
const LINE: usize = 48;
/// Lines that are read at once.
const LINES: usize = 1024;
const BEGIN: &str = "-----BEGIN LAZARET SPECIMEN-----\n";
const END: &str = "-----END LAZARET SPECIMEN-----\n";

/// A copy.
pub(super) async fn download(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(digest): Path<String>,
) -> Result<Response, Response> {
    Ok(copy(&desk, &visitor.who, visitor.role, &digest).await?)
}

/// A copy of the bytes, for whoever may have it.
pub(super) async fn copy(desk: &Desk, who: &str, role: Role, digest: &str) -> Result<Response, Refusal> {
    if role < Role::Operator {
        return Err(Refusal::new(Code::NotAllowed, "Specimens are for operators."));
    }
    let entry = dossier(desk, &known(digest)?).await?.entry;
    let (_, file) = kept(desk, &entry).await?;
    let bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
    tracing::info!(who, digest = %entry.digest, "took a copy of a specimen");
    let name = format!("attachment; filename=\"lazaret-specimen-{}.txt\"", entry.digest.short());
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_LENGTH, length(bytes).to_string()),
    ];
    Ok((headers, Body::from_stream(armoured(file))).into_response())
}

/// Tries the bytes again, alone in this worker. What comes of it is a note of whoever asked.
pub(super) async fn retest(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(digest): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    let operator = visitor.decides(&form)?;
    begin(&desk, &known(&digest)?, operator).await?;
    Ok(Redirect::to(&format!("/quarantine/{digest}")).into_response())
}

/// Deletes the bytes. What was seen of them stays.
pub(super) async fn erase(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(digest): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    let operator = visitor.decides(&form)?;
    erased(&desk, &known(&digest)?, &operator).await?;
    Ok(Redirect::to(&format!("/quarantine/{digest}")).into_response())
}

/// Deletes the bytes of an entry; the entry after it.
pub(super) async fn erased(desk: &Desk, digest: &Digest, operator: &Operator) -> Result<Entry, Refusal> {
    let entry = dossier(desk, digest).await?.entry;
    let (key, _) = kept(desk, &entry).await?;
    let work = desk.work()?;
    let removed = work.specimens.store().remove(&key).await;
    removed.map_err(|error| unreadable(&error))?;
    let after = work.ledger.act(digest, Action::Erase, operator).await?;
    tracing::info!(who = operator.who, %digest, "erased a specimen");
    Ok(after)
}

/// The key of an entry's bytes, and those, where they are in this worker's store; from a bucket as a copy.
pub(super) async fn kept(desk: &Desk, entry: &Entry) -> Result<(String, File), Refusal> {
    let absent = |words: &str| Refusal::new(Code::NotFound, words);
    let key = entry.specimen.clone();
    let key = key.ok_or_else(|| absent("The bytes of this upload were not kept."))?;
    let work = desk.work()?;
    let sandbox = &work.worker.sandbox;
    let read = work
        .specimens
        .store()
        .file(&key, sandbox.limits.input.as_u64(), &sandbox.staging);
    match read.await {
        Ok(file) => Ok((key, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(absent(
            "The bytes of this upload are not in this worker's store: they are on another host, or their time was over.",
        )),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &io::Error) -> Refusal {
    tracing::error!(%error, "a specimen");
    let words = "The store of specimens does not answer as it should. The log has more.";
    Refusal::new(Code::StoreUnavailable, words)
}

/// What is to be sent next.
enum Next {
    Begin(File),
    Go(File),
    Nothing,
}

/// Length of the text for so many bytes.
fn length(bytes: u64) -> u64 {
    let line = LINE as u64;
    let rest = match bytes % line {
        0 => 0,
        rest => rest.div_ceil(3) * 4 + 1,
    };
    (BEGIN.len() + END.len()) as u64 + bytes / line * (line / 3 * 4 + 1) + rest
}

fn armoured(file: File) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(Next::Begin(file), |next| async move {
        match next {
            Next::Begin(file) => Ok(Some((Bytes::from_static(BEGIN.as_bytes()), Next::Go(file)))),
            Next::Go(file) => {
                let (file, text) = spawn_blocking(move || lines(file)).await.map_err(io::Error::other)??;
                let next = match text.is_empty() {
                    true => return Ok(Some((Bytes::from_static(END.as_bytes()), Next::Nothing))),
                    false => Next::Go(file),
                };
                Ok(Some((Bytes::from(text), next)))
            }
            Next::Nothing => Ok(None),
        }
    })
}

/// The next lines; none at the end.
fn lines(file: File) -> io::Result<(File, String)> {
    let mut bytes = Vec::with_capacity(LINE * LINES);
    let mut stretch = file.take((LINE * LINES) as u64);
    stretch.read_to_end(&mut bytes)?;
    let mut text = String::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    Ok((stretch.into_inner(), text))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn what_is_wrapped_can_be_unwrapped() {
        for size in [0, 1, 47, 48, 49, LINE * LINES, LINE * LINES + 5] {
            let bytes: Vec<u8> = (0..size).map(|number: usize| (number * 7 % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let parts: Vec<Bytes> = armoured(file).try_collect().await.unwrap();
            let text = String::from_utf8(parts.concat()).unwrap();
            assert_eq!(text.len() as u64, length(bytes.len() as u64));
            assert!(text.starts_with(BEGIN) && text.ends_with(END));
            let inner: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            assert_eq!(STANDARD.decode(inner).unwrap(), bytes);
        }
    }
}
