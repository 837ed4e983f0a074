//! From an upload to the XML document in it: inflated, checked to be UTF-8, its entities bounded.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::GzDecoder;
use resvg::usvg::roxmltree::{Document, Error, ParsingOptions};

use super::{corrupt, unsupported};
use crate::convert::preflight::at_most;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

/// Attributes for each element that may be there, and nodes: it, its texts and comments.
const ATTRIBUTES: u64 = 8;
const NODES: u64 = 4;

/// The text of an SVG or SVGZ, at most `limits.svg` bytes of it.
pub(in crate::convert) fn text<'a>(upload: &'a [u8], limits: &Limits) -> Result<Cow<'a, str>, Refusal> {
    let most = limits.svg.as_u64();
    let odd = || corrupt("an SVG that is not UTF-8");
    if !upload.starts_with(&[0x1f, 0x8b]) {
        at_most("svg", upload.len() as u64, most)?;
        let text = str::from_utf8(upload).map_err(|_| odd())?;
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::new();
    GzDecoder::new(upload)
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| corrupt(format_args!("SVGZ: {error}")))?;
    at_most("svg", bytes.len() as u64, most)?;
    let head = bytes.get(..Format::MAGIC_BYTES).unwrap_or(&bytes);
    if Format::sniff(head) != Some(Format::Svg) || bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(unsupported("a gzip file that holds no SVG"));
    }
    Ok(Cow::Owned(String::from_utf8(bytes).map_err(|_| odd())?))
}

/// The document, its nodes and attributes counted before they are held.
pub(in crate::convert) fn document<'a>(text: &'a str, limits: &Limits) -> Result<Document<'a>, Refusal> {
    let count = |byte: u8| text.bytes().filter(|&other| other == byte).count() as u64;
    let nodes = limits.elements.saturating_mul(NODES);
    // The parser reserves a node for each and an attribute for each: both are bounded by that.
    at_most("elements", count(b'<') / NODES, limits.elements)?;
    at_most("attributes", count(b'='), limits.elements.saturating_mul(ATTRIBUTES))?;
    entities(text, limits)?;
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: u32::try_from(nodes).unwrap_or(u32::MAX),
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| match error {
        Error::NodesLimitReached => Refusal::over(Reason::TooComplex, "elements", limits.elements + 1, limits.elements),
        error => corrupt(format_args!("SVG: {error}")),
    })
}

/// Refuses a document whose entities may unfold to more than a text may have.
fn entities(text: &str, limits: &Limits) -> Result<(), Refusal> {
    let (declared, _) = declarations(text);
    // An entity within an entity multiplies.
    if references(declared) > 0 {
        return Err(Refusal::over(
            Reason::TooComplex,
            "nested_entities",
            references(declared),
            0,
        ));
    }
    at_most("svg", unfolded(text), limits.svg.as_u64())
}

/// Bytes of a text with its entities, at most: each reference to one of the document's own counts for all that its type declaration holds.
pub(super) fn unfolded(text: &str) -> u64 {
    let (declared, rest) = declarations(text);
    let most = if declared.is_empty() {
        0
    } else {
        references(rest).saturating_mul(declared.len() as u64)
    };
    most.saturating_add(text.len() as u64)
}

/// The declarations of entities, where there are some, and what follows them.
fn declarations(text: &str) -> (&str, &str) {
    let Some(first) = text.find("<!ENTITY") else {
        return ("", text);
    };
    let start = text[..first].rfind("<!DOCTYPE").unwrap_or(first);
    let end = text[first..].find("]>").map_or(text.len(), |end| first + end);
    (&text[start..end], &text[end..])
}

/// References that are not to characters.
fn references(text: &str) -> u64 {
    let plain = ["#", "amp;", "lt;", "gt;", "quot;", "apos;"];
    let own = |after: &&str| !plain.iter().any(|name| after.starts_with(name));
    text.split('&').skip(1).filter(own).count() as u64
}
