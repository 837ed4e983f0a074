//! Drills with words and output: what a child may say of itself, and what it may write.

use std::io::{self, Write};

use super::{Drill, time, told};
use crate::format::Format;
use crate::sandbox::protocol::{FromChild, MAX_FROM_CHILD, Made, MemoryRecord, Phase};
use crate::sandbox::{child, sys};
use crate::verdict::Notes;

/// Heads of one-pixel renditions of the drills' recipe: magic bytes, and nothing after them.
const HEADS: [(Format, Option<u8>, &[u8]); 3] = [
    (
        Format::Jpeg,
        Some(80),
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01",
    ),
    (Format::Png, None, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    (Format::Webp, Some(80), b"RIFF\x10\0\0\0WEBPVP8 "),
];
/// What a browser would run, where a picture should be; as long as the first head.
const PAGE: &[u8] = b"<script>1</script>";

pub(super) fn flood() -> FromChild {
    let block = vec![0x5a; 1 << 20];
    let flooded = (0..128).try_for_each(|_| sys::write_all(child::OUTPUT, &block));
    told(flooded, "wrote without end")
}

pub(super) fn flood_control() -> FromChild {
    let block = vec![0x5a; 60 << 10];
    // 4 GiB.
    let flooded = (0..(4u64 << 30) / block.len() as u64).try_for_each(|_| sys::write_all(child::CONTROL, &block));
    told(flooded, "was listened to without end")
}

pub(super) fn chatter() -> FromChild {
    for _ in 0..10_000_000 {
        child::say(&FromChild::Phase(Phase::Decode));
    }
    FromChild::Escaped("talked without end".to_owned())
}

fn made(format: Format, bytes: u64, quality: Option<u8>) -> Made {
    Made {
        format,
        width: 1,
        height: 1,
        bytes,
        quality,
        frames: 1,
        notes: Notes::NONE,
    }
}

pub(super) fn forge(drill: Drill) -> FromChild {
    let claim = FromChild::Done(vec![made(Format::Png, 1 << 40, None)]);
    if drill == Drill::Linger {
        child::say(&claim);
        return time::spin();
    }
    claim
}

pub(super) fn feign(drill: Drill) -> FromChild {
    if drill == Drill::ForgeMemoryRecord {
        let forged = MemoryRecord {
            requested: 1,
            in_use: 1 << 40,
            allowed: 1 << 40,
        };
        let _ = sys::write_all(child::CONTROL, &forged.to_bytes());
    }
    let mut claim = Vec::new();
    for (index, (format, quality, head)) in HEADS.into_iter().enumerate() {
        let swapped = index == 0 && drill == Drill::SwapOutput;
        let bytes = if swapped { PAGE } else { head };
        let _ = sys::write_all(child::OUTPUT, bytes);
        claim.push(made(format, bytes.len() as u64, quality));
    }
    let claim = FromChild::Done(claim);
    if drill == Drill::FeignAndCrash {
        child::say(&claim);
        std::process::abort();
    }
    claim
}

pub(super) fn send(drill: Drill) -> FromChild {
    let packet: &[u8] = match drill {
        Drill::Shout => &[b' '; MAX_FROM_CHILD + 1],
        Drill::HalfMessage => b"{\"done\":[{\"format\":\"png\",\"wid",
        _ => b"{\"done\":[{\"format\":\"exe\"}]}",
    };
    let _ = io::stderr().write(packet);
    match drill {
        Drill::HalfMessage => time::sleep(),
        _ => FromChild::Held("sent".to_owned()),
    }
}
