//! The control images: known to be good, built in, one of each format. Where they fail, the host is sick and nobody is to blame.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tokio::sync::watch;

use crate::admission::Budget;
use crate::blame::Control;
use crate::format::Formats;
use crate::recipe::{Recipe, Rendition, Target};
use crate::sandbox::limits::Limits;
use crate::sandbox::outcome::Outcome;
use crate::sandbox::protocol::Task;
use crate::sandbox::supervise::{Attempted, Sandbox, Watch};

/// The control images, each under 4 KiB and with 96 × 64 pixels at most.
pub const IMAGES: [(&str, &[u8]); 6] = [
    ("jpeg", include_bytes!("../../fixtures/control/control.jpg")),
    ("png", include_bytes!("../../fixtures/control/control.png")),
    ("gif", include_bytes!("../../fixtures/control/control.gif")),
    ("webp", include_bytes!("../../fixtures/control/control.webp")),
    ("bmp", include_bytes!("../../fixtures/control/control.bmp")),
    ("tiff", include_bytes!("../../fixtures/control/control.tiff")),
];

/// What is made of a control image: one small rendition of each format that can be written.
pub fn recipe() -> Recipe {
    let rendition = |name, format| Rendition {
        format,
        width: Some(48),
        ..Rendition::named(name)
    };
    let renditions = vec![
        rendition("jpeg", Target::Jpeg),
        rendition("png", Target::Png),
        rendition("webp", Target::Webp),
    ];
    #[expect(clippy::expect_used, reason = "constant input: a test builds it")]
    Recipe::new(renditions).expect("three renditions with names and edges in range")
}

impl Sandbox {
    /// Converts one control image under this sandbox's layers and limits.
    pub async fn attempt_control(&self, image: &[u8], release: watch::Receiver<bool>) -> io::Result<Attempted> {
        let upload = staged(&self.staging, image.to_vec()).await?;
        // Switches are about uploads: a host on which JPEG is off is not sick.
        let all = Self {
            limits: Limits {
                formats: Formats::default(),
                ..self.limits.clone()
            },
            ..self.clone()
        };
        all.attempt(&upload, Task::Convert(recipe()), Watch::Both, release)
            .await
    }

    /// This sandbox with memory beside its budget: what is known to be good does not wait for that of uploads that run.
    pub fn aside(&self) -> Self {
        Self {
            budget: Budget::new(self.limits.memory.as_u64(), 0),
            ..self.clone()
        }
    }

    /// Whether this host still converts what is known to be good.
    pub async fn control(&self, release: watch::Receiver<bool>) -> Control {
        let (_, image) = IMAGES[0];
        says(&self.aside().attempt_control(image, release).await)
    }
}

/// What an attempt on something that is known to be good says of this host.
pub fn says(attempted: &io::Result<Attempted>) -> Control {
    match attempted.as_ref().map(|attempted| &attempted.outcome) {
        Ok(Outcome::Converted(_)) => Control::Converted,
        Ok(Outcome::Released | Outcome::Starved) => Control::Unclear,
        Ok(outcome) => {
            tracing::error!(?outcome, "what is known to be good does not convert: this host is sick");
            Control::Failed
        }
        Err(error) => {
            tracing::error!(%error, "what is known to be good cannot be run: this host is sick");
            Control::Failed
        }
    }
}

/// An unlinked file in `folder` with these bytes.
pub fn unlinked(folder: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// The same beside the threads that a worker turns on: a disk may hang, and they must not.
pub async fn staged(folder: &Path, bytes: Vec<u8>) -> io::Result<File> {
    let folder = folder.to_owned();
    let staged = tokio::task::spawn_blocking(move || unlinked(&folder, &bytes));
    staged.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn images_are_of_the_formats_they_are_named_for() {
        for (name, image) in IMAGES {
            assert_eq!(Format::sniff(image).map(Format::name), Some(name));
        }
        assert_eq!(recipe().renditions().len(), 3);
    }
}
