//! The limits of one attempt, and the grant that a declaration earns. `[pure]`
//!
//! Ceilings come from the configuration and are enforced by the kernel; grants are fitted to what an upload's headers declare and
//! are enforced by the child's allocator and by the supervisor.

mod avif;

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::format::Formats;
use crate::recipe::work::{Upload, decoding_cost};
use crate::recipe::{Quality, Recipe, Rendition};
use crate::sandbox::protocol::Declaration;
use crate::verdict::{Exceeded, Reason, Refusal};

/// Heap that the child may use before its grant, while it reads headers.
pub const PREFLIGHT_MEMORY: ByteSize = ByteSize::mib(64);
/// CPU time that the child may use before its grant.
pub const PREFLIGHT_CPU: Duration = Duration::from_millis(250);
/// Smallest memory grant: what codecs need beside the pixels, so that tiny images do not trip on fixed costs.
pub const MEMORY_FLOOR: ByteSize = ByteSize::mib(32);
/// Resident memory of a child beside its heap: code, stack, and the pages of the upload that are mapped.
pub const RESIDENT_MARGIN: ByteSize = ByteSize::mib(32);
/// Address space of a child beside its heap and its upload: the program and its libraries.
pub const ADDRESS_MARGIN: ByteSize = ByteSize::mib(256);
/// Stack of a child.
pub const STACK: ByteSize = ByteSize::mib(8);

/// Limits on one upload and its attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest upload that is fetched.
    #[serde(with = "exact")]
    pub input: ByteSize,
    /// Most pixels of one frame (width × height).
    pub pixels: u64,
    /// Most pixels of all frames (frames × canvas).
    pub frame_pixels: u64,
    /// Most SOS markers (scans) of a JPEG.
    pub scans: u64,
    /// Most inflated bytes of compressed metadata (iCCP, iTXt, zTXt) in all.
    #[serde(with = "exact")]
    pub inflated_metadata: ByteSize,
    /// Most image file directories of a TIFF.
    pub directories: u64,
    /// Most strips or tiles of a TIFF.
    pub strips: u64,
    /// Most pixels of an AVIF rendition.
    pub avif_pixels: u64,
    /// Most bytes of an SVG, inflated.
    #[serde(with = "exact")]
    pub svg: ByteSize,
    /// Most elements of an SVG, what `use` repeats counted each time.
    pub elements: u64,
    /// Deepest nesting of an SVG's elements, through references too.
    pub nesting: u64,
    /// Most memory an attempt may be granted.
    #[serde(with = "exact")]
    pub memory: ByteSize,
    /// CPU time every attempt is granted.
    #[serde(with = "humantime_serde")]
    pub cpu_base: Duration,
    /// CPU time granted for each megapixel, on top.
    #[serde(with = "humantime_serde")]
    pub cpu_per_megapixel: Duration,
    /// Most CPU time an attempt may be granted.
    #[serde(with = "humantime_serde")]
    pub cpu: Duration,
    /// Wall time granted for each second of CPU time granted.
    pub wall_per_cpu: u32,
    /// Wall time granted on top.
    #[serde(with = "humantime_serde")]
    pub wall_base: Duration,
    /// Wall time from spawn to the declaration; lock-down and headers take a few milliseconds on a quiet host.
    #[serde(with = "humantime_serde")]
    pub preflight_wall: Duration,
    /// Longest wait for a share of the memory budget; the attempt is released then, and tried again later.
    #[serde(with = "humantime_serde")]
    pub admission_wait: Duration,
    /// Most bytes of all renditions of one attempt.
    #[serde(with = "exact")]
    pub output: ByteSize,
    /// Which formats are read.
    pub formats: Formats,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input: ByteSize::mib(64),
            pixels: 100_000_000,
            frame_pixels: 200_000_000,
            scans: 64,
            inflated_metadata: ByteSize::mib(1),
            directories: 64,
            strips: 100_000,
            avif_pixels: 12_500_000,
            svg: ByteSize::mib(8),
            elements: 50_000,
            nesting: 64,
            memory: ByteSize::mib(768),
            cpu_base: Duration::from_secs(1),
            cpu_per_megapixel: Duration::from_millis(60),
            cpu: Duration::from_secs(20),
            wall_per_cpu: 3,
            wall_base: Duration::from_secs(2),
            preflight_wall: Duration::from_secs(20),
            admission_wait: Duration::from_secs(30),
            output: ByteSize::mib(64),
            formats: Formats::default(),
        }
    }
}

/// What one attempt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Heap, in bytes.
    pub memory_bytes: u64,
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// Wall time, in milliseconds; time spent waiting for a processor is credited.
    pub wall_ms: u64,
}

impl Grant {
    /// The grant under limits that were raised so many times: time has grown with them, memory, which follows the declaration, has not.
    #[must_use]
    pub fn raised(self, times: u32, limits: &Limits) -> Self {
        let memory = self.memory_bytes.saturating_mul(times.into());
        Self {
            memory_bytes: memory.min(limits.memory.as_u64()).max(self.memory_bytes),
            ..self
        }
    }
}

/// What an attempt may declare at most for a reason that is not the upload's: policy, below the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Pixels of work: those decoded, and those encoded times what their encoder costs.
    pub work: u64,
    /// Heap.
    pub memory: ByteSize,
}

impl Ceiling {
    /// What a declaration exceeds.
    #[must_use]
    pub fn exceeded(&self, declared: &Declaration, recipe: &Recipe) -> Option<Exceeded> {
        let needs = [
            ("work", work(declared, recipe), self.work),
            ("memory", declared.memory_bytes, self.memory.as_u64()),
        ];
        let over = needs.into_iter().find(|(_, seen, allowed)| seen > allowed);
        over.map(|(limit, seen, allowed)| Exceeded {
            limit: limit.to_owned(),
            seen,
            allowed,
        })
    }
}

impl Limits {
    /// The grant for a declared upload, or the refusal where a limit forbids it.
    ///
    /// The child has checked the same limits; it is not believed, so the supervisor checks them again.
    /// CPU time follows the megapixels of work: those decoded, and those encoded times what their encoder costs ([`Recipe::work`]).
    pub fn grant(&self, declared: &Declaration, recipe: &Recipe) -> Result<Grant, Refusal> {
        let pixels = u64::from(declared.width) * u64::from(declared.height);
        if pixels > self.pixels {
            return Err(Refusal::over(Reason::TooManyPixels, "pixels", pixels, self.pixels));
        }
        let frame_pixels = pixels.saturating_mul(declared.frames);
        if frame_pixels > self.frame_pixels {
            return Err(Refusal::over(
                Reason::TooManyFrames,
                "frame_pixels",
                frame_pixels,
                self.frame_pixels,
            ));
        }
        let misfit = |rendition: &Rendition| rendition.misfit(declared.width, declared.height);
        if let Some((index, problem)) = (0..)
            .zip(recipe.renditions())
            .find_map(|(index, it)| Some((index, misfit(it)?)))
        {
            let problem = format_args!("renditions[{index}].{problem}");
            return Err(Refusal::new(Reason::InvalidJob, problem));
        }
        self.check_avif(recipe, declared.format, (declared.width, declared.height))?;
        let memory = declared.memory_bytes.max(MEMORY_FLOOR.as_u64());
        if memory > self.memory.as_u64() {
            return Err(Refusal::over(
                Reason::TooComplex,
                "memory",
                memory,
                self.memory.as_u64(),
            ));
        }
        let work = work(declared, recipe);
        let per_megapixel = self.cpu_per_megapixel.as_micros() as u64;
        let cpu = self.cpu_base + Duration::from_micros(work.saturating_mul(per_megapixel) / 1_000_000);
        // An honest animation, AVIF, or search for a quality that takes longer than any grant would be convicted.
        if cpu > self.cpu {
            let allowed = self.cpu.saturating_sub(self.cpu_base).as_micros() as u64;
            let allowed = allowed.saturating_mul(1_000_000) / per_megapixel.max(1);
            let any = |is: &dyn Fn(&Rendition) -> bool| recipe.renditions().iter().any(is);
            if any(&|rendition| rendition.moves(declared.format, declared.frames)) {
                return Err(Refusal::over(Reason::TooComplex, "animation_work", work, allowed));
            }
            if any(&|rendition| avif::is_avif(rendition, declared.format)) {
                return Err(avif::too_much(work, allowed));
            }
            let searches = |rendition: &Rendition| {
                rendition.quality() == Quality::Auto && rendition.is_lossy(rendition.output(declared.format))
            };
            if any(&searches) {
                return Err(Refusal::over(Reason::TooComplex, "auto_work", work, allowed));
            }
        }
        Ok(self.timed(memory, cpu.min(self.cpu)))
    }

    /// Limits that are so many times as high on what trips: memory, CPU, wall time, output. What is rejected stays rejected. Memory ends at
    /// the budget, beyond which nothing would ever be granted.
    #[must_use]
    pub fn raised(&self, times: u32, budget_bytes: u64) -> Self {
        let often = |size: ByteSize| size.as_u64().saturating_mul(times.into());
        Self {
            memory: ByteSize(often(self.memory).min(budget_bytes).max(self.memory.as_u64())),
            cpu_base: self.cpu_base * times,
            cpu_per_megapixel: self.cpu_per_megapixel * times,
            cpu: self.cpu * times,
            output: ByteSize(often(self.output)),
            ..self.clone()
        }
    }

    /// The largest grant these limits allow: what the kernel enforces.
    pub fn ceiling(&self) -> Grant {
        self.timed(self.memory.as_u64(), self.cpu)
    }

    /// When the child's own timers fire: CPU time and wall time, at the ceiling. They end it even if the supervisor was killed.
    pub fn timers(&self) -> (Duration, Duration) {
        let ceiling = self.ceiling();
        let cpu = Duration::from_millis(ceiling.cpu_ms) + PREFLIGHT_CPU;
        let wall = Duration::from_millis(ceiling.wall_ms) + self.admission_wait + self.preflight_wall;
        (cpu, wall)
    }

    fn timed(&self, memory_bytes: u64, cpu: Duration) -> Grant {
        let wall = cpu * self.wall_per_cpu + self.wall_base;
        Grant {
            memory_bytes,
            cpu_ms: cpu.as_millis() as u64,
            wall_ms: wall.as_millis() as u64,
        }
    }
}

/// Pixels of work: those of a frame to decode, and those to encode.
fn work(declared: &Declaration, recipe: &Recipe) -> u64 {
    let pixels = u64::from(declared.width) * u64::from(declared.height);
    let decoding = pixels
        .saturating_mul(decoding_cost(declared.format))
        .max(declared.decode_work);
    let upload = Upload {
        format: declared.format,
        frames: declared.frames,
        size: (declared.width, declared.height),
        channels: declared.channels,
    };
    decoding.saturating_add(recipe.work(&upload))
}

/// Sizes to the byte. [`ByteSize`] itself writes one decimal, so that a child would be held to 1.2 GiB where 1200 MiB are meant.
pub(crate) mod exact {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, Serializer};

    const UNITS: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

    /// In the largest unit that leaves no fraction.
    pub(crate) fn serialize<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = size.as_u64();
        let whole = UNITS.iter().find(|(unit, _)| bytes.is_multiple_of(*unit));
        let (unit, name) = whole.unwrap_or(&(1, "B"));
        serializer.collect_str(&format_args!("{} {name}", bytes / unit))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        ByteSize::deserialize(deserializer)
    }

    /// The same, where there may be none.
    pub(crate) mod option {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(size: &Option<ByteSize>, serializer: S) -> Result<S::Ok, S::Error> {
            match size {
                Some(size) => super::serialize(size, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
            Option::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::recipe::{Animation, Crop, Target, geometry::Length};

    pub(super) fn declared(width: u32, height: u32) -> Declaration {
        Declaration {
            format: Format::Jpeg,
            width,
            height,
            frames: 1,
            channels: 3,
            memory_bytes: 1 << 20,
            decode_work: 0,
        }
    }

    fn recipe(format: Target, lossless: bool) -> Recipe {
        Recipe::new(vec![Rendition {
            format,
            lossless,
            ..Rendition::named("whole")
        }])
        .unwrap()
    }

    #[test]
    fn the_grant_follows_what_is_decoded_and_what_is_encoded() {
        let cpu_ms = |recipe| Limits::default().grant(&declared(4000, 3000), &recipe).unwrap().cpu_ms;
        assert_eq!(cpu_ms(recipe(Target::Jpeg, false)), 1000 + 24 * 60);
        assert_eq!(cpu_ms(recipe(Target::Webp, false)), 1000 + 60 * 60);
        assert_eq!(cpu_ms(recipe(Target::Webp, true)), 1000 + 132 * 60);
    }

    #[test]
    fn declared_work_counts_where_it_is_more_than_the_pixels() {
        let cpu_ms = |decode_work| {
            let declared = Declaration {
                decode_work,
                ..declared(1000, 1000)
            };
            Limits::default()
                .grant(&declared, &recipe(Target::Png, false))
                .unwrap()
                .cpu_ms
        };
        assert_eq!((cpu_ms(0), cpu_ms(1_000_000)), (1000 + 2 * 60, 1000 + 2 * 60));
        assert_eq!(cpu_ms(5_000_000), 1000 + 6 * 60);
        assert_eq!(cpu_ms(u64::MAX), 20_000);
    }

    #[test]
    fn an_animation_is_granted_its_frames_or_refused() {
        let animation = |frames| Declaration {
            format: Format::Gif,
            frames,
            ..declared(1000, 500)
        };
        let keep = |animation, format| {
            Recipe::new(vec![Rendition {
                format,
                animation,
                ..Rendition::named("moving")
            }])
            .unwrap()
        };
        let grant = |frames, recipe| Limits::default().grant(&animation(frames), &recipe);
        // Decoded once for all; each frame decoded again and encoded as lossy WebP.
        let cpu_ms = grant(40, keep(Animation::Keep, Target::Webp)).unwrap().cpu_ms;
        assert_eq!(cpu_ms, 1000 + 60 * (1 + 40 * (1 + 4)) / 2);
        let first = grant(400, keep(Animation::First, Target::Webp)).unwrap().cpu_ms;
        assert_eq!(
            grant(400, keep(Animation::Keep, Target::Png)).unwrap().cpu_ms,
            1000 + 60
        );
        assert_eq!(first, 1000 + 60 * 5 / 2);
        let refusal = grant(400, keep(Animation::Keep, Target::Webp)).unwrap_err();
        assert_eq!(refusal.reason, Reason::TooComplex);
        let exceeded = refusal.exceeded.unwrap();
        assert_eq!(
            (exceeded.limit.as_str(), exceeded.allowed),
            ("animation_work", 316_666_666)
        );
    }

    #[test]
    fn more_qualities_than_there_is_time_to_find_are_refused() {
        let found = |count: u32| {
            let renditions = (0..count).map(|index| Rendition {
                width: Some(500),
                quality: Some(Quality::Auto),
                format: Target::Jpeg,
                ..Rendition::named(&format!("r{index}"))
            });
            Limits::default().grant(&declared(1000, 1000), &Recipe::new(renditions.collect()).unwrap())
        };
        assert!(found(12).is_ok());
        let exceeded = found(16).unwrap_err().exceeded.unwrap();
        assert_eq!((exceeded.limit.as_str(), exceeded.allowed), ("auto_work", 316_666_666));
    }

    #[test]
    fn the_grant_ends_at_the_ceiling() {
        let grant = Limits::default()
            .grant(&declared(10_000, 10_000), &recipe(Target::Webp, true))
            .unwrap();
        assert_eq!((grant.cpu_ms, grant.wall_ms), (20_000, 62_000));
        assert_eq!(Limits::default().ceiling().cpu_ms, 20_000);
    }

    #[test]
    fn a_ceiling_is_on_work_and_on_memory() {
        let ceiling = Ceiling {
            work: 2_000_000,
            memory: ByteSize::mib(1),
        };
        let over = |declared| {
            let exceeded = ceiling.exceeded(&declared, &recipe(Target::Jpeg, false));
            exceeded.map(|exceeded| (exceeded.limit, exceeded.seen, exceeded.allowed))
        };
        assert_eq!(over(declared(1000, 1000)), None);
        assert_eq!(
            over(declared(1000, 1001)),
            Some(("work".to_owned(), 2_002_000, 2_000_000))
        );
        let memory_bytes = (1 << 20) + 1;
        let hungry = Declaration {
            memory_bytes,
            ..declared(1, 1)
        };
        assert_eq!(over(hungry), Some(("memory".to_owned(), memory_bytes, 1 << 20)));
    }

    #[test]
    fn limits_survive_the_wire_to_the_byte() {
        for bytes in [0, 1, 1023, 64 << 20, 1200 << 20, (1 << 30) + 1, 5_000_000_000] {
            let limits = Limits {
                memory: ByteSize(bytes),
                output: ByteSize(bytes),
                ..Limits::default()
            };
            let wire = serde_json::to_string(&limits).unwrap();
            assert_eq!(serde_json::from_str::<Limits>(&wire).unwrap(), limits, "{wire}");
        }
    }

    #[test]
    fn raised_limits_raise_what_trips_and_end_at_the_budget() {
        let usual = Limits::default();
        let raised = usual.raised(4, 2 << 30);
        let grant = |limits: &Limits| {
            limits
                .grant(&declared(4000, 3000), &recipe(Target::Jpeg, false))
                .unwrap()
        };
        let (before, after) = (grant(&usual), grant(&raised).raised(4, &raised));
        assert_eq!(
            (before.cpu_ms * 4, before.memory_bytes * 4),
            (after.cpu_ms, after.memory_bytes)
        );
        assert_eq!((raised.memory, raised.output), (ByteSize::gib(2), ByteSize::mib(256)));
        assert_eq!((raised.pixels, raised.input), (usual.pixels, usual.input));
        assert_eq!(usual.raised(4, 1).memory, usual.memory);
        assert_eq!((usual.raised(1, u64::MAX), before.raised(1, &usual)), (usual, before));
    }

    #[test]
    fn tiny_images_get_the_floor() {
        let grant = Limits::default()
            .grant(&declared(1, 1), &recipe(Target::Png, false))
            .unwrap();
        assert_eq!(grant.memory_bytes, MEMORY_FLOOR.as_u64());
    }

    #[test]
    fn a_crop_outside_the_picture_is_the_jobs_fault() {
        let crop = Crop {
            x: Length::Pixels(400),
            y: Length::default(),
            width: Length::Pixels(10),
            height: Length::Pixels(10),
        };
        let recipe = Recipe::new(vec![Rendition {
            crop: Some(crop),
            ..Rendition::named("part")
        }])
        .unwrap();
        let grant = |width| Limits::default().grant(&declared(width, 300), &recipe);
        assert!(grant(401).is_ok());
        let refusal = grant(400).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidJob);
        assert_eq!(
            refusal.detail,
            "renditions[0].crop begins outside the picture of 400 × 300 px"
        );
    }

    #[test]
    fn both_sides_of_every_limit() {
        let limits = Limits::default();
        let png = recipe(Target::Png, false);
        let grant = |declared| {
            limits
                .grant(&declared, &png)
                .map_err(|refusal| refusal.exceeded.unwrap().limit)
        };
        assert!(grant(declared(10_000, 10_000)).is_ok());
        assert_eq!(grant(declared(10_000, 10_001)), Err("pixels".to_owned()));
        let frames = |frames| Declaration {
            frames,
            ..declared(10_000, 10_000)
        };
        assert!(grant(frames(2)).is_ok());
        assert_eq!(grant(frames(3)), Err("frame_pixels".to_owned()));
        let memory = |memory_bytes| Declaration {
            memory_bytes,
            ..declared(1, 1)
        };
        assert!(grant(memory(768 << 20)).is_ok());
        assert_eq!(grant(memory((768 << 20) + 1)), Err("memory".to_owned()));
        assert_eq!(grant(frames(u64::MAX)), Err("frame_pixels".to_owned()));
    }
}
