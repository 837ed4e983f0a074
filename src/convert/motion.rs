//! Animations that stay animations: GIF, APNG and animated WebP become GIF or animated WebP.
//!
//! In: an upload of several frames, and a rendition that keeps them. Out: the rendition, written. Frames are streamed: one is drawn on the
//! canvas, goes the way of every picture, with one plan for all that the first frame decides, and is encoded before the next is read. So
//! memory does not grow with the number of frames, but for what an encoder must keep. Each rendition decodes the frames anew.
//!
//! Absent on purpose: PNG and JPEG of several frames, what `keep` names, and frames that are left out because they look alike.
#![forbid(unsafe_code)]

mod apng;
mod canvas;
mod gif;
mod timing;
mod webp;

use std::io::Write;
use std::rc::Rc;

pub(super) use timing::{Clock, Plays};

use crate::convert::Failure;
use crate::convert::colour::Space;
use crate::convert::decode::corrupt;
use crate::convert::encode::{self, Order};
use crate::convert::metadata::Kept;
use crate::convert::motion::canvas::Canvas;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::plan::Wanted;
use crate::convert::preflight::{Ending, Headers};
use crate::convert::scale::Scale;
use crate::convert::transform::{self, Colouring, Cut};
use crate::format::Format;
use crate::recipe::Rendition;
use crate::sandbox::limits::Limits;
use crate::sandbox::protocol::Made;
use crate::verdict::{Note, Notes, Reason, Refusal};

/// Writes all frames of an upload whose headers were examined, as a rendition wants them that is a GIF or a WebP.
///
/// Of one that ends early, where that is tolerated, the frames that are there whole are written, and that is noted. `space` is the way of four
/// channels to sRGB; `notes` are what is known of the upload already.
pub(super) fn write(
    upload: &[u8],
    headers: &Headers,
    wanted: &Wanted,
    limits: &Limits,
    (space, notes): (Option<Rc<Space>>, Notes),
    output: &mut dyn Write,
) -> Result<Made, Failure> {
    let rendition = &wanted.rendition;
    let format = rendition.output(headers.format);
    let mut reader = Reader::open(upload, headers)?;
    let plays = reader.plays();
    let mut notes = notes;
    let mut canvas = Canvas::new(headers.width, headers.height);
    let mut output = encode::Counted::new(output);
    let mut sink = Some(&mut output);
    let (mut padding, mut writer) = (None, None::<Writer<'_>>);
    let mut frames = 0;
    while frames < headers.frames {
        let delay = match reader.next(&mut canvas) {
            Ok(Some(delay)) => delay,
            Ok(None) => break,
            Err(_) if headers.ending != Ending::Whole && frames > 0 => {
                notes = notes.with(Note::Truncated);
                break;
            }
            Err(failure) => return Err(failure),
        };
        let bytes = canvas.bytes().to_vec();
        let mut picture = Pixels::new((headers.width, headers.height), Layout::Rgba, bytes);
        picture.space = space.clone();
        picture.become_srgb();
        let padding = *padding.get_or_insert_with(|| {
            let translucent = picture.bytes.chunks_exact(4).any(|pixel| pixel[3] != 255);
            transform::padding(rendition, true, translucent)
        });
        let frame = Cut::master(Rc::new(picture), headers, Scale::WHOLE).cut(&wanted.piece, Colouring::Srgb)?;
        let picture = transform::finish(frame.pixels, wanted, headers.orientation, padding);
        if let Some(output) = sink.take() {
            writer = Some(Writer::open(
                output,
                &picture,
                (rendition, format),
                plays,
                (headers, limits),
            )?);
        }
        if let Some(writer) = &mut writer {
            writer.push(&picture, delay)?;
        }
        frames += 1;
    }
    if matches!(headers.ending, Ending::Cut(_)) {
        notes = notes.with(Note::Truncated);
    }
    let writer = writer.ok_or_else(|| corrupt("an animation without a frame"))?;
    let (size, quality) = (writer.size, writer.quality);
    writer.finish()?;
    let bytes = output.finish().map_err(Failure::Output)?;
    if let Some(most) = rendition.max_bytes.filter(|&most| bytes > most.into()) {
        return Err(Refusal::over(Reason::TooComplex, "max_bytes", bytes, most.into()).into());
    }
    Ok(Made {
        format,
        width: size.0,
        height: size.1,
        bytes,
        quality: rendition.is_lossy(format).then_some(quality),
        frames,
        notes,
    })
}

/// The frames of an upload, whatever its format.
enum Reader<'a> {
    Gif(Box<gif::Reader<'a>>),
    Apng(Box<apng::Reader<'a>>),
    Webp(webp::Reader<'a>),
}

impl<'a> Reader<'a> {
    fn open(upload: &'a [u8], headers: &Headers) -> Result<Self, Failure> {
        match headers.format {
            Format::Gif => Ok(Self::Gif(Box::new(gif::Reader::open(upload)?))),
            Format::Png => Ok(Self::Apng(Box::new(apng::Reader::open(upload)?))),
            Format::Webp => Ok(Self::Webp(webp::Reader::open(upload))),
            _ => Err(corrupt("frames of a format that has none")),
        }
    }

    fn plays(&self) -> Plays {
        match self {
            Self::Gif(reader) => reader.plays(),
            Self::Apng(reader) => reader.plays(),
            Self::Webp(reader) => reader.plays(),
        }
    }

    /// Draws the next frame; tells how long it is shown, in microseconds.
    fn next(&mut self, canvas: &mut Canvas) -> Result<Option<u64>, Failure> {
        match self {
            Self::Gif(reader) => reader.next(canvas),
            Self::Apng(reader) => reader.next(canvas),
            Self::Webp(reader) => reader.next(canvas),
        }
    }
}

/// The encoder of an animation, whatever its format.
struct Writer<'a> {
    size: (u32, u32),
    quality: u8,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Gif(Box<encode::gif::Writer<'a>>),
    Webp(Box<encode::moving_webp::Writer<'a>>, &'a mut dyn Write),
}

impl<'a> Writer<'a> {
    /// For frames like the `first`; the quality that is found for it holds for all.
    fn open(
        output: &'a mut dyn Write,
        first: &Pixels,
        (rendition, format): (&'a Rendition, Format),
        plays: Plays,
        (headers, limits): (&Headers, &Limits),
    ) -> Result<Self, Failure> {
        let size = (first.width, first.height);
        let order = Order {
            rendition,
            format,
            kept: Kept::default(),
        };
        let quality = encode::quality(first, order)?;
        let kind = if format == Format::Gif {
            Kind::Gif(Box::new(encode::gif::Writer::new(output, size, plays, headers.format)?))
        } else {
            let pixels = u64::from(size.0) * u64::from(size.1);
            let most = encode::moving_webp::buffer(headers.frames, pixels, limits.output.as_u64());
            let writer = encode::moving_webp::Writer::new(rendition, quality, size, plays, most);
            Kind::Webp(Box::new(writer), output)
        };
        Ok(Self { size, quality, kind })
    }

    fn push(&mut self, picture: &Pixels, microseconds: u64) -> Result<(), Failure> {
        debug_assert_eq!((picture.width, picture.height), self.size);
        match &mut self.kind {
            Kind::Gif(writer) => writer.push(&picture.bytes, microseconds),
            Kind::Webp(writer, _) => writer.push(&picture.bytes, microseconds),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self.kind {
            Kind::Gif(writer) => writer.finish(),
            Kind::Webp(writer, output) => writer.finish(output),
        }
    }
}
