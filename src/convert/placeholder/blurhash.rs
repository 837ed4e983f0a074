//! BlurHash, written after its specification (github.com/woltapp/blurhash, Algorithm.md) and its reference code. `[pure]`
//!
//! Absent on purpose: the crate of that name, which rounds half a level up where the reference does not.
#![forbid(unsafe_code)]

use std::f64::consts::PI;

use crate::convert::pixels::Pixels;

/// Components along the longer side, and along the shorter one.
const COMPONENTS: (u32, u32) = (4, 3);
const DIGITS: &[u8; 83] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

/// Of a picture with three channels.
pub(super) fn encode(picture: &Pixels) -> String {
    let (across, down) = match picture.width >= picture.height {
        true => COMPONENTS,
        false => (COMPONENTS.1, COMPONENTS.0),
    };
    let linear: Vec<f64> = (0..=255).map(linear).collect();
    let factors = (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
    let factors: Vec<[f64; 3]> = factors.map(|component| factor(picture, component, &linear)).collect();
    let (mean, others) = (factors[0], &factors[1..]);

    let strongest = others
        .iter()
        .flatten()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let range = (strongest * 166.0 - 0.5).floor().clamp(0.0, 82.0) as u32;
    let mut hash = String::with_capacity(4 + 2 * factors.len());
    push(&mut hash, across - 1 + (down - 1) * 9, 1);
    push(&mut hash, range, 1);
    let [r, g, b] = mean.map(level);
    push(&mut hash, r << 16 | g << 8 | b, 4);
    for factor in others {
        let [r, g, b] = factor.map(|value| step(value, f64::from(range + 1) / 166.0));
        push(&mut hash, (r * 19 + g) * 19 + b, 2);
    }
    hash
}

/// How much of a cosine pattern there is, in linear light.
fn factor(picture: &Pixels, (x, y): (u32, u32), linear: &[f64]) -> [f64; 3] {
    let cosines = |component: u32, edge: u32| -> Vec<f64> {
        let angle = PI * f64::from(component) / f64::from(edge);
        (0..edge).map(|place| (angle * f64::from(place)).cos()).collect()
    };
    let (across, down) = (cosines(x, picture.width), cosines(y, picture.height));
    let mut sum = [0.0; 3];
    for (row, down) in picture.bytes.chunks_exact(picture.stride()).zip(down) {
        for (pixel, across) in row.chunks_exact(3).zip(&across) {
            for (sum, &value) in sum.iter_mut().zip(pixel) {
                *sum += across * down * linear[usize::from(value)];
            }
        }
    }
    let weight = if (x, y) == (0, 0) { 1.0 } else { 2.0 };
    sum.map(|sum| sum * weight / (f64::from(picture.width) * f64::from(picture.height)))
}

fn linear(level: u32) -> f64 {
    let value = f64::from(level) / 255.0;
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn level(linear: f64) -> u32 {
    let value = linear.clamp(0.0, 1.0);
    let level = if value <= 0.003_130_8 {
        value * 12.92
    } else {
        1.055 * value.powf(1.0 / 2.4) - 0.055
    };
    (level * 255.0 + 0.5) as u32
}

/// One of 19 steps of a factor; the middle is none of it.
fn step(value: f64, range: f64) -> u32 {
    let part = value / range;
    (part.abs().sqrt().copysign(part) * 9.0 + 9.5).floor().clamp(0.0, 18.0) as u32
}

fn push(hash: &mut String, value: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = value / 83_u32.pow(place) % 83;
        hash.push(char::from(DIGITS[digit as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::pixels::Layout;

    fn hash(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> String {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bytes = places.flat_map(|(x, y)| pixel(x, y)).collect();
        encode(&Pixels::new((width, height), Layout::Rgb, bytes))
    }

    #[test]
    fn digits_are_those_of_the_specification() {
        let mut text = String::new();
        push(&mut text, 6869, 2);
        assert_eq!(text, "~$");
    }

    /// What a transcription of the reference code in C gives for the same pixels.
    #[test]
    fn hashes_are_those_of_the_reference() {
        assert_eq!(hash(32, 32, |_, _| [0; 3]), "L00000fQfQfQfQfQfQfQfQfQfQfQ");
        assert_eq!(
            hash(32, 24, |x, y| [(x * 8) as u8, (y * 10) as u8, 128]),
            "LxH27k2swxX8mHWWjtf7gJfjfQfj"
        );
        assert_eq!(
            hash(9, 20, |x, y| if (x + y) % 3 == 0 {
                [250, 200, 10]
            } else {
                [3, 60, 90]
            }),
            "TBHnTF~9fQ-ns.fQfQa|fQ-ns.fQ"
        );
    }
}
