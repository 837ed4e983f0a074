//! Tone curves: from a sample to light, 0 to 1 both. `[pure]`
#![forbid(unsafe_code)]

/// Longest curve that is read, in entries; writers stop at 4,096.
const MAX_ENTRIES: usize = 65_536;

/// A curve of an ICC profile (ICC.1:2022 §10.6, §10.18), or a plain gamma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Curve<'a> {
    /// Light is the sample raised to this.
    Gamma(f64),
    /// Light at even steps, 16 bits each, most significant byte first; at least two.
    Table(&'a [u8]),
    /// Type, then g, a, b, c, d, e, f.
    Parametric(u16, [f64; 7]),
    /// As sRGB has it.
    Srgb,
    /// As BT.709 has it for cameras.
    Video,
}

impl<'a> Curve<'a> {
    /// Reads a tag's data, type included.
    pub(super) fn read(tag: &'a [u8]) -> Option<Self> {
        match tag.get(..4)? {
            b"curv" => {
                let count = u32::from_be_bytes(tag.get(8..12)?.try_into().ok()?) as usize;
                let values = tag.get(12..)?;
                match count {
                    0 => Some(Self::Gamma(1.0)),
                    1 => {
                        let gamma = u16::from_be_bytes(values.get(..2)?.try_into().ok()?);
                        (gamma > 0).then(|| Self::Gamma(f64::from(gamma) / 256.0))
                    }
                    2..=MAX_ENTRIES => values.get(..count * 2).map(Self::Table),
                    _ => None,
                }
            }
            b"para" => {
                let kind = u16::from_be_bytes(tag.get(8..10)?.try_into().ok()?);
                let count = *[1, 3, 4, 5, 7].get(usize::from(kind))?;
                let mut numbers = [0.0; 7];
                let (words, _) = tag.get(12..12 + count * 4)?.as_chunks::<4>();
                for (number, word) in numbers.iter_mut().zip(words) {
                    *number = f64::from(i32::from_be_bytes(*word)) / 65_536.0;
                }
                (numbers[0] > 0.0).then_some(Self::Parametric(kind, numbers))
            }
            _ => None,
        }
    }

    /// Light for a sample of 0 to 1; 0 to 1 for whatever the curve says.
    pub(super) fn light(&self, sample: f64) -> f64 {
        let light = match *self {
            Self::Gamma(gamma) => sample.powf(gamma),
            Self::Srgb => from_srgb(sample),
            Self::Video if sample < 0.081 => sample / 4.5,
            Self::Video => ((sample + 0.099) / 1.099).powf(1.0 / 0.45),
            Self::Table(values) => interpolated(values, sample),
            Self::Parametric(kind, numbers) => parametric(kind, numbers, sample),
        };
        // Not a number: 0.
        if light > 0.0 { light.min(1.0) } else { 0.0 }
    }
}

fn interpolated(values: &[u8], sample: f64) -> f64 {
    let (entries, _) = values.as_chunks::<2>();
    let entry = |index: usize| {
        entries
            .get(index)
            .map_or(0.0, |&entry| f64::from(u16::from_be_bytes(entry)))
    };
    let last = entries.len().saturating_sub(1);
    let place = sample.clamp(0.0, 1.0) * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let part = place - below as f64;
    (entry(below) * (1.0 - part) + entry(above) * part) / 65_535.0
}

fn parametric(kind: u16, [g, a, b, c, d, e, f]: [f64; 7], sample: f64) -> f64 {
    let power = |sample: f64| (a * sample + b).max(0.0).powf(g);
    let beyond = a * sample + b >= 0.0;
    match kind {
        0 => sample.powf(g),
        1 if beyond => power(sample),
        1 => 0.0,
        2 if beyond => power(sample) + c,
        2 => c,
        3 if sample >= d => power(sample),
        3 => c * sample,
        _ if sample >= d => power(sample) + e,
        _ => c * sample + f,
    }
}

/// IEC 61966-2-1, from sample to light.
pub(in crate::convert) fn from_srgb(sample: f64) -> f64 {
    if sample <= 0.04045 {
        sample / 12.92
    } else {
        ((sample + 0.055) / 1.055).powf(2.4)
    }
}

/// IEC 61966-2-1, from light to sample.
pub(super) fn to_srgb(light: f64) -> f64 {
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn srgb_in_three_spellings_is_srgb() {
        let mut table = b"curv\0\0\0\0\0\0\x04\0".to_vec();
        for step in 0..1024 {
            let light = from_srgb(f64::from(step) / 1023.0) * 65_535.0;
            table.extend((light.round() as u16).to_be_bytes());
        }
        let mut five = b"para\0\0\0\0\0\x03\0\0".to_vec();
        for number in [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045] {
            five.extend(((number * 65_536.0_f64).round() as i32).to_be_bytes());
        }
        for curve in [Curve::read(&table).unwrap(), Curve::read(&five).unwrap(), Curve::Srgb] {
            for sample in 0..=255 {
                let sample = f64::from(sample) / 255.0;
                assert!(
                    (to_srgb(curve.light(sample)) - sample).abs() < 0.001,
                    "{curve:?} at {sample}"
                );
            }
        }
    }

    #[test]
    fn gamma_is_a_number_of_eight_and_eight_bits() {
        let tag = b"curv\0\0\0\0\0\0\0\x01\x02\x33";
        let Some(Curve::Gamma(gamma)) = Curve::read(tag) else {
            panic!("a gamma")
        };
        assert!((gamma - 2.199).abs() < 0.001);
        assert_eq!(Curve::read(b"curv\0\0\0\0\0\0\0\x01\0\0"), None);
        assert_eq!(Curve::read(b"curv\0\0\0\0\0\0\0\x03\0\0"), None);
    }

    proptest! {
        #[test]
        fn light_is_a_share_whatever_the_tag(mut tag: Vec<u8>, parametric: bool, sample in 0.0..=1.0) {
            let name = if parametric { b"para" } else { b"curv" };
            tag.splice(0..tag.len().min(4), *name);
            if let Some(curve) = Curve::read(&tag) {
                prop_assert!((0.0..=1.0).contains(&curve.light(sample)));
            }
        }
    }
}
