//! The chunks of a PNG that speak of colours, and which of them is heard (PNG, third edition, §4.3): cICP before iCCP before sRGB before
//! gAMA and cHRM. `[pure]`
#![forbid(unsafe_code)]

use super::Told;

/// What was found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::convert) struct Chunks {
    coded: Option<(u8, u8)>,
    profile: Option<Told>,
    srgb: bool,
    gamma: Option<u32>,
    corners: Option<[u32; 8]>,
}

impl Chunks {
    /// Takes note of an sRGB, cICP, gAMA or cHRM chunk; the first of each counts.
    pub(in crate::convert) fn take(&mut self, kind: &[u8], body: &[u8]) {
        let words = body.as_chunks::<4>().0;
        match (kind, body) {
            (b"sRGB", _) => self.srgb = true,
            // The matrix of RGB, and the full range: PNG allows nothing else.
            (b"cICP", &[primaries, transfer, 0, 1]) => {
                self.coded.get_or_insert((primaries, transfer));
            }
            (b"gAMA", _) => self.gamma = self.gamma.or(words.first().map(|word| u32::from_be_bytes(*word))),
            (b"cHRM", _) if words.len() == 8 => {
                let mut corners = [0; 8];
                for (corner, word) in corners.iter_mut().zip(words) {
                    *corner = u32::from_be_bytes(*word);
                }
                self.corners.get_or_insert(corners);
            }
            _ => {}
        }
    }

    /// Takes note of an iCCP chunk: where its stream is, how long, and what it inflates to.
    pub(in crate::convert) fn profile(&mut self, at: usize, length: usize, inflated: u64) {
        self.profile.get_or_insert(Told::Deflated { at, length, inflated });
    }

    /// What is heard.
    pub(in crate::convert) fn told(self) -> Told {
        let corners = self.corners;
        match (self.coded, self.profile, self.gamma) {
            (Some((primaries, transfer)), ..) => Told::Coded { primaries, transfer },
            (None, Some(profile), _) => profile,
            (None, None, Some(gamma)) if !self.srgb => Told::Curve { gamma, corners },
            _ => Told::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_rank_is_heard_whatever_the_order() {
        let mut chunks = Chunks::default();
        let heard = |chunks: Chunks| chunks.told();
        chunks.take(b"cHRM", &[0; 32]);
        assert_eq!(heard(chunks), Told::Nothing);
        chunks.take(b"gAMA", &[0, 0, 0xb1, 0x8f]);
        let corners = Some([0; 8]);
        assert_eq!(heard(chunks), Told::Curve { gamma: 45_455, corners });
        chunks.take(b"sRGB", &[0]);
        assert_eq!(heard(chunks), Told::Nothing);
        chunks.profile(50, 60, 70);
        let (at, length, inflated) = (50, 60, 70);
        assert_eq!(heard(chunks), Told::Deflated { at, length, inflated });
        chunks.take(b"cICP", &[12, 13, 0, 1]);
        assert_eq!(
            heard(chunks),
            Told::Coded {
                primaries: 12,
                transfer: 13
            }
        );
    }

    #[test]
    fn chunks_that_are_cut_short_say_nothing() {
        let mut chunks = Chunks::default();
        chunks.take(b"gAMA", &[0, 0, 1]);
        chunks.take(b"cHRM", &[0; 31]);
        chunks.take(b"cICP", &[12, 13, 1, 1]);
        assert_eq!(chunks.told(), Told::Nothing);
    }
}
