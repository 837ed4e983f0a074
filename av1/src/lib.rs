//! One picture to an AV1 stream, by rav1e, on the caller's thread.
//!
//! A package of its own, because rav1e is generic over its samples: whoever calls it compiles it. Here that is done once, and
//! optimised whatever the caller is.
//!
//! In: a [`Picture`]'s size and colours, and its samples, row by row, 10 bits each: with 8, rounding costs as much quality as a fifteenth
//! of the bytes, and saves a tenth of the time. Out: the AV1 stream of one key frame, without a container.

use rav1e::prelude::*;

/// Bits of a sample.
pub const DEPTH: u32 = 10;
/// Effort, 0 to 10; what differs from this preset is in [`effort`].
const PRESET: u8 = 9;
/// An OBU that marks the start of a picture: has no place in a container.
const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];

/// A picture to be encoded.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Width and height in pixels, 1 to 65,535.
    pub size: (usize, usize),
    /// Its planes.
    pub chroma: Chroma,
    /// How much is lost: 0 (next to nothing) to 255.
    pub quantizer: u8,
    /// Whether colours are sRGB; else the container says which.
    pub srgb: bool,
    /// Into how many columns and rows of tiles it is cut, powers of two: what is known of a tile is held until it is done.
    pub tiles: (usize, usize),
}

/// Planes beside brightness. Samples are full range, colours by the matrix of BT.601.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// None: grey.
    None,
    /// 4:2:0: half as wide and high, rounded up.
    Quarter,
    /// 4:4:4.
    Full,
}

/// What the encoder says where it does not encode. No picture of a size in range leads there.
#[derive(Debug)]
pub struct Trouble(String);

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Encodes. `fill` is asked for each row of each plane (0: brightness, 1: blue, 2: red), and writes its samples.
///
/// # Errors
/// Where the picture is of a size that AV1 has no room for, or the encoder ends in the middle.
pub fn encode(picture: &Picture, fill: &mut dyn FnMut(usize, usize, &mut [u16])) -> Result<Vec<u8>, Trouble> {
    let mut encoder: Context<u16> = Config::new()
        .with_encoder_config(settings(picture))
        .with_threads(1)
        .new_context()
        .map_err(trouble)?;
    let mut frame = encoder.new_frame();
    for (index, plane) in frame.planes.iter_mut().enumerate().take(picture.chroma.planes()) {
        let (width, height) = picture.plane(index);
        let mut rows = plane.mut_slice(Default::default());
        for (y, row) in rows.rows_iter_mut().take(height).enumerate() {
            fill(index, y, &mut row[..width]);
        }
    }
    encoder.send_frame(frame).map_err(trouble)?;
    encoder.flush();
    let mut stream = loop {
        match encoder.receive_packet() {
            Ok(packet) => break packet.data,
            Err(EncoderStatus::Encoded) => {}
            Err(status) => return Err(trouble(status)),
        }
    };
    if stream.starts_with(&TEMPORAL_DELIMITER) {
        stream.drain(..TEMPORAL_DELIMITER.len());
    }
    Ok(stream)
}

impl Picture {
    /// Width and height of a plane.
    fn plane(&self, index: usize) -> (usize, usize) {
        let (width, height) = self.size;
        match (index, self.chroma) {
            (1.., Chroma::Quarter) => (width.div_ceil(2), height.div_ceil(2)),
            _ => (width, height),
        }
    }
}

impl Chroma {
    fn planes(self) -> usize {
        if self == Self::None { 1 } else { 3 }
    }
}

fn settings(picture: &Picture) -> EncoderConfig {
    let (primaries, transfer) = match picture.srgb {
        true => (ColorPrimaries::BT709, TransferCharacteristics::SRGB),
        false => (ColorPrimaries::Unspecified, TransferCharacteristics::Unspecified),
    };
    EncoderConfig {
        width: picture.size.0,
        height: picture.size.1,
        bit_depth: DEPTH as usize,
        chroma_sampling: match picture.chroma {
            Chroma::None => ChromaSampling::Cs400,
            Chroma::Quarter => ChromaSampling::Cs420,
            Chroma::Full => ChromaSampling::Cs444,
        },
        pixel_range: PixelRange::Full,
        color_description: Some(ColorDescription {
            color_primaries: primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        still_picture: true,
        min_key_frame_interval: 0,
        max_key_frame_interval: 0,
        low_latency: false,
        quantizer: picture.quantizer.into(),
        min_quantizer: picture.quantizer,
        bitrate: 0,
        tune: Tune::Psychovisual,
        tile_cols: picture.tiles.0,
        tile_rows: picture.tiles.1,
        speed_settings: effort(),
        ..EncoderConfig::default()
    }
}

/// Blocks of 16 × 16 alone, predicted in coarse directions: half the time of a choice from 8 × 8 to 64 × 64, for a twelfth more bytes.
fn effort() -> SpeedSettings {
    let mut effort = SpeedSettings::from_preset(PRESET);
    effort.partition.partition_range = PartitionRange::new(BlockSize::BLOCK_16X16, BlockSize::BLOCK_16X16);
    effort.prediction.fine_directional_intra = false;
    // Filters that cost a tenth of the time and are not to be seen.
    effort.cdef = false;
    effort.lrf = false;
    // There are no other frames, and no scenes.
    effort.scene_detection_mode = SceneDetectionSpeed::None;
    effort.multiref = false;
    effort.rdo_lookahead_frames = 1;
    effort
}

fn trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(size: (usize, usize), chroma: Chroma, quantizer: u8, tiles: (usize, usize)) -> Vec<u8> {
        let picture = Picture {
            size,
            chroma,
            quantizer,
            srgb: true,
            tiles,
        };
        let mut ramp = |plane: usize, y: usize, row: &mut [u16]| {
            row.iter_mut()
                .enumerate()
                .for_each(|(x, sample)| *sample = ((x * 37 + y * 91 + plane * 300) % 1024) as u16);
        };
        encode(&picture, &mut ramp).unwrap()
    }

    #[test]
    fn every_small_size_is_encoded() {
        for chroma in [Chroma::None, Chroma::Quarter, Chroma::Full] {
            for width in (1..20).chain([31, 33, 63, 64, 65]) {
                for height in [1, 2, 3, 15, 16, 17, 65] {
                    let stream = stream((width, height), chroma, 100, (1, 1));
                    // A sequence header comes first.
                    assert_eq!(stream[0], 0x0a, "{width} × {height}, {chroma:?}");
                }
            }
        }
    }

    #[test]
    fn a_lower_quantizer_makes_more_bytes() {
        let length = |quantizer| stream((128, 96), Chroma::Quarter, quantizer, (1, 1)).len();
        let lengths = [255, 180, 120, 60, 0].map(length);
        assert!(lengths.is_sorted(), "{lengths:?}");
    }

    #[test]
    fn tiles_are_as_asked_for_and_sizes_that_are_too_large_are_trouble() {
        let tiled = stream((200, 200), Chroma::Quarter, 120, (2, 2));
        assert_ne!(tiled, stream((200, 200), Chroma::Quarter, 120, (1, 1)));
        let picture = Picture {
            size: (65_536, 1),
            chroma: Chroma::None,
            quantizer: 120,
            srgb: true,
            tiles: (1, 1),
        };
        assert!(encode(&picture, &mut |_, _, _| ()).is_err());
    }
}
