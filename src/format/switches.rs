//! Which formats are read: what is in this build, and what the configuration leaves on. `[pure]`
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::Format;
use crate::verdict::{Reason, Refusal};

/// One switch per format. An upload of a format that is off is rejected as `unsupported-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Formats {
    /// JPEG.
    pub jpeg: Switch,
    /// PNG and APNG, also within icons.
    pub png: Switch,
    /// GIF.
    pub gif: Switch,
    /// WebP.
    pub webp: Switch,
    /// BMP; within icons it goes with those.
    pub bmp: Switch,
    /// TIFF.
    pub tiff: Switch,
    /// Icons and cursors.
    pub ico: Switch,
    /// QOI.
    pub qoi: Switch,
    /// PBM, PGM, PPM and PAM.
    pub pnm: Switch,
    /// SVG and SVGZ.
    pub svg: Switch,
    /// JPEG XL.
    pub jxl: Switch,
    /// AVIF.
    pub avif: Switch,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Read, where it is in this build.
    #[default]
    On,
    /// Rejected.
    Off,
}

impl Formats {
    /// The switch of a format.
    #[must_use]
    pub fn of(&self, format: Format) -> Switch {
        match format {
            Format::Jpeg => self.jpeg,
            Format::Png => self.png,
            Format::Gif => self.gif,
            Format::Webp => self.webp,
            Format::Bmp => self.bmp,
            Format::Tiff => self.tiff,
            Format::Ico => self.ico,
            Format::Qoi => self.qoi,
            Format::Pnm => self.pnm,
            Format::Svg => self.svg,
            Format::Jxl => self.jxl,
            Format::Avif => self.avif,
        }
    }

    /// Why files of this format are not read here, where they are not: the setting, or the build.
    #[must_use]
    pub fn refusal(&self, format: Format) -> Option<Refusal> {
        let detail = match self.of(format) {
            Switch::Off => format!("{format} is switched off by limits.formats.{format}"),
            Switch::On if !format.built() => format!("{format} is not in this build: it was left out by its feature"),
            Switch::On => return None,
        };
        Some(Refusal::new(Reason::UnsupportedFormat, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_a_switch_of_its_name() {
        for format in Format::ALL {
            let text = format!("{format} = \"off\"");
            let formats: Formats = toml::from_str(&text).unwrap();
            for other in Format::ALL {
                let refusal = formats.refusal(other);
                assert_eq!(refusal.is_some(), other == format || !other.built(), "{text}, {other}");
            }
            let refusal = formats.refusal(format).unwrap();
            assert!(
                refusal.detail.contains(&format!("limits.formats.{format}")),
                "{refusal}"
            );
        }
        assert!(toml::from_str::<Formats>("jpg = \"off\"").is_err());
    }
}
