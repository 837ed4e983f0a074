//! The binding of rav1d, which offers dav1d's C interface: one AV1 stream in, its first picture out.
//!
//! One thread, no delay, no log: its default log is standard error, which is the child's control socket.
#![allow(
    unsafe_code,
    reason = "rav1d's interface is that of dav1d: raw pointers on both sides"
)]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rav1d::include::dav1d::data::Dav1dData;
use rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings};
use rav1d::include::dav1d::headers::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422, DAV1D_PIXEL_LAYOUT_I444,
};
use rav1d::include::dav1d::picture::Dav1dPicture;
use rav1d::src::lib::{
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data,
};

use crate::convert::Failure;
use crate::convert::decode::corrupt;

/// A decoded picture. Planes: luma, and two of chroma unless it is grey.
pub(super) struct Frame {
    picture: Dav1dPicture,
    /// By how much chroma is narrower and lower than luma, as shifts; `None` where there is none.
    pub(super) chroma: Option<(u32, u32)>,
    /// Matrix coefficients (ITU-T H.273) of the stream.
    pub(super) matrix: u16,
    /// Whether samples use their whole range, as the stream says.
    pub(super) full_range: bool,
}

/// Decodes the first picture of `stream`, which must have this size: nothing larger is laid out.
pub(super) fn decode(stream: &[u8], size: (u32, u32)) -> Result<Frame, Failure> {
    let mut decoder = Decoder::open(size)?;
    let picture = decoder.first_picture(stream)?;
    let frame = Frame::of(picture)?;
    if frame.size() != size {
        return Err(corrupt("an AV1 stream of another size than its item"));
    }
    Ok(frame)
}

/// An open decoder, closed when dropped.
struct Decoder(Option<Dav1dContext>);

impl Decoder {
    fn open(size: (u32, u32)) -> Result<Self, Failure> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the pointer is to writable memory of the right size and alignment, which the call fills whole.
        let mut settings = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        settings.n_threads = 1;
        settings.max_frame_delay = 1;
        settings.all_layers = 0;
        settings.frame_size_limit = size.0.saturating_mul(size.1);
        // SAFETY: there is no callback, so nothing is ever called.
        settings.logger = unsafe { Dav1dLogger::new(None, None) };
        let mut context = None;
        // SAFETY: both pointers are to live values of the right types; the context is closed by Drop.
        let result = unsafe { dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings))) };
        match result.0 {
            0 => Ok(Self(context)),
            error => Err(refused(error)),
        }
    }

    fn first_picture(&mut self, stream: &[u8]) -> Result<Dav1dPicture, Failure> {
        let mut data = Dav1dData::default();
        // SAFETY: the pointer is to a live value; the bytes that come back are the decoder's, and as many as were asked for.
        unsafe {
            let bytes = dav1d_data_create(Some(NonNull::from(&mut data)), stream.len());
            if bytes.is_null() {
                return Err(Failure::OutOfMemory);
            }
            std::ptr::copy_nonoverlapping(stream.as_ptr(), bytes, stream.len());
        }
        // SAFETY: the context is open, and the data was made by the decoder, which takes it.
        let sent = unsafe { dav1d_send_data(self.0, Some(NonNull::from(&mut data))) };
        let mut picture = Dav1dPicture::default();
        let got = match sent.0 {
            0 => {
                // SAFETY: the context is open, and the pointer is to a live value that holds no picture yet.
                let got = unsafe { dav1d_get_picture(self.0, Some(NonNull::from(&mut picture))) };
                got.0
            }
            error => error,
        };
        // SAFETY: what the decoder did not take of the data is its own still; where nothing is left, nothing is done.
        unsafe { dav1d_data_unref(Some(NonNull::from(&mut data))) };
        match got {
            0 => Ok(picture),
            error => Err(refused(error)),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the context came from dav1d_open and is closed once; pictures hold what they need by themselves.
        unsafe { dav1d_close(Some(NonNull::from(&mut self.0))) };
    }
}

fn refused(error: i32) -> Failure {
    if error == -libc::ENOMEM {
        return Failure::OutOfMemory;
    }
    corrupt(format_args!("an AV1 stream that cannot be decoded ({error})"))
}

impl Frame {
    fn of(picture: Dav1dPicture) -> Result<Self, Failure> {
        let chroma = match picture.p.layout {
            DAV1D_PIXEL_LAYOUT_I400 => None,
            DAV1D_PIXEL_LAYOUT_I420 => Some((1, 1)),
            DAV1D_PIXEL_LAYOUT_I422 => Some((1, 0)),
            DAV1D_PIXEL_LAYOUT_I444 => Some((0, 0)),
            _ => return Err(corrupt("an AV1 stream of an unknown layout")),
        };
        let mut frame = Self {
            picture,
            chroma,
            matrix: 2,
            full_range: false,
        };
        if let Some(header) = frame.picture.seq_hdr {
            // SAFETY: a picture's sequence header lives as long as the picture does.
            let header = unsafe { header.as_ref() };
            frame.matrix = header.mtrx as u16;
            frame.full_range = header.color_range != 0;
        }
        Ok(frame)
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.picture.p.w.unsigned_abs(), self.picture.p.h.unsigned_abs())
    }

    /// Bits of a sample: 8, 10 or 12.
    pub(super) fn depth(&self) -> u32 {
        self.picture.p.bpc.unsigned_abs()
    }

    /// Writes row `y` of a plane (0: luma) to `row`, at most as many samples as the plane is wide.
    pub(super) fn row(&self, plane: usize, y: u32, row: &mut [u16]) {
        let (width, height) = self.size();
        let (width, height) = match (plane, self.chroma) {
            (0, _) => (width, height),
            (1 | 2, Some((across, down))) => ((width + across) >> across, (height + down) >> down),
            _ => return,
        };
        let Some(data) = self.picture.data[plane] else {
            return;
        };
        let (y, count) = (y.min(height.saturating_sub(1)), row.len().min(width as usize));
        let offset = self.picture.stride[usize::from(plane > 0)] * y as isize;
        let row = &mut row[..count];
        if self.depth() == 8 {
            // SAFETY: the plane has at least `height` rows of `width` bytes, `stride` apart; y and count are within them.
            let samples = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>().offset(offset), count) };
            row.iter_mut()
                .zip(samples)
                .for_each(|(to, from)| *to = u16::from(*from));
        } else {
            // SAFETY: as above, with samples of two bytes; the stride is in bytes and even, planes start at multiples of 64.
            let samples =
                unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>().offset(offset).cast::<u16>(), count) };
            row.copy_from_slice(samples);
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: the picture came from the decoder, and its reference is given back once.
        unsafe { dav1d_picture_unref(Some(NonNull::from(&mut self.picture))) };
    }
}
