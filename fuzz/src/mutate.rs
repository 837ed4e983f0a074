//! Changes to an input, the same for the same seed.

use fastrand::Rng;

/// Numbers at which counts and lengths go wrong.
const EDGES: [u32; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// `bytes` with one to four changes; `other` is another input of the corpus, of which a piece may be taken.
pub fn changed(bytes: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..5) {
        change(&mut bytes, other, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if bytes.is_empty() {
        return bytes.extend(piece(other, rng));
    }
    let at = near_the_beginning(bytes.len(), rng);
    match rng.u8(..8) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => bytes[at] = rng.u8(..),
        2 => put(bytes, at, &EDGES[rng.usize(..EDGES.len())].to_be_bytes(), rng),
        3 => put(bytes, at, &EDGES[rng.usize(..EDGES.len())].to_le_bytes(), rng),
        4 => bytes.truncate(at),
        5 => {
            let end = (at + rng.usize(1..64)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 => {
            let again = piece(bytes, rng);
            bytes.splice(at..at, again);
        }
        _ => {
            let foreign = piece(other, rng);
            bytes.splice(at..at, foreign);
        }
    }
}

/// Headers are where readers decide: half of all changes are in the first 512 bytes.
fn near_the_beginning(length: usize, rng: &mut Rng) -> usize {
    match rng.bool() {
        true => rng.usize(..length.min(512)),
        false => rng.usize(..length),
    }
}

/// Writes the last two or four bytes of a number.
fn put(bytes: &mut [u8], at: usize, number: &[u8; 4], rng: &mut Rng) {
    let number = if rng.bool() { &number[..] } else { &number[2..] };
    for (to, from) in bytes[at..].iter_mut().zip(number) {
        *to = *from;
    }
}

fn piece(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let from = rng.usize(..bytes.len());
    let to = (from + rng.usize(1..128)).min(bytes.len());
    bytes[from..to].to_vec()
}
