//! Artist and copyright: read from EXIF, written as EXIF. `[pure]`
#![forbid(unsafe_code)]

use super::Exif;
use crate::convert::preflight::Bytes;

const ARTIST: u16 = 315;
const COPYRIGHT: u16 = 33_432;
const ASCII: u16 = 2;
/// Entries that are looked at; cameras write about 15.
const MOST_ENTRIES: usize = 512;
/// Longest text that is kept, in bytes.
const LONGEST: usize = 4096;

/// A fresh EXIF block with artist and copyright of `upload`; nothing where it names neither.
pub(in crate::convert) fn credits(upload: &[u8], exif: Exif) -> Option<Vec<u8>> {
    let block = Bytes::big(upload).rest(exif.at, exif.length);
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let bytes = match tiff {
        [b'I', b'I', 42, 0, ..] => Bytes::little(tiff),
        [b'M', b'M', 0, 42, ..] => Bytes::big(tiff),
        _ => return None,
    };
    let texts = [ARTIST, COPYRIGHT].map(|tag| (tag, text(bytes, tag)));
    write(&texts)
}

/// A text of the first directory, without what follows its end; nothing where it is empty or too long.
fn text(bytes: Bytes<'_>, tag: u16) -> Option<&[u8]> {
    let start = bytes.u32(4)? as usize;
    let count = usize::from(bytes.u16(start)?).min(MOST_ENTRIES);
    let entry = (0..count)
        .map(|index| start + 2 + index * 12)
        .find(|&entry| bytes.u16(entry) == Some(tag) && bytes.u16(entry + 2) == Some(ASCII))?;
    let length = bytes.u32(entry + 4)? as usize;
    let place = if length <= 4 {
        entry + 8
    } else {
        bytes.u32(entry + 8)? as usize
    };
    if length > LONGEST {
        return None;
    }
    let text = bytes.part(place, length)?.trim_ascii_end();
    // Photographer and editor have a NUL between them; what follows the last one is nothing.
    let end = text.iter().rposition(|&byte| byte != 0 && byte != b' ')? + 1;
    Some(&text[..end])
}

fn write(texts: &[(u16, Option<&[u8]>)]) -> Option<Vec<u8>> {
    let texts: Vec<(u16, &[u8])> = texts.iter().filter_map(|&(tag, text)| Some((tag, text?))).collect();
    if texts.is_empty() {
        return None;
    }
    let mut block = b"MM\0\x2a\0\0\0\x08".to_vec();
    block.extend((texts.len() as u16).to_be_bytes());
    let mut at = block.len() + texts.len() * 12 + 4;
    let mut behind = Vec::new();
    for (tag, text) in texts {
        let length = text.len() + 1;
        block.extend(tag.to_be_bytes());
        block.extend(ASCII.to_be_bytes());
        block.extend((length as u32).to_be_bytes());
        let mut value = text.to_vec();
        value.push(0);
        if length <= 4 {
            value.resize(4, 0);
            block.extend(value);
        } else {
            block.extend((at as u32).to_be_bytes());
            value.resize(length.next_multiple_of(2), 0);
            at += value.len();
            behind.extend(value);
        }
    }
    block.extend([0; 4]);
    block.extend(behind);
    Some(block)
}
