//! RGB of three colorants and three curves, as a profile that the colour library takes, made of numbers that were checked. `[pure]`
#![forbid(unsafe_code)]

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, ToneReprCurve, XyY, Xyzd};

use super::curve::{Curve, to_srgb};

/// sRGB's colorants in XYZ, adapted to D50.
const SRGB: [[f64; 3]; 3] = [
    [0.436_07, 0.222_49, 0.013_92],
    [0.385_15, 0.716_87, 0.097_08],
    [0.143_07, 0.060_61, 0.714_10],
];
/// Differences that nobody sees: in a colorant, and in a sample of 0 to 1.
const CLOSE: (f64, f64) = (0.002, 0.004);

/// Colorants in XYZ, adapted to D50, and curves, of red, green and blue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    /// X, Y and Z of each.
    pub(super) colorants: [[f64; 3]; 3],
    /// From sample to light.
    pub(super) curves: [Curve<'a>; 3],
}

impl Matrix<'_> {
    /// Colorants of primaries and a white, x and y each; nothing where they span no space.
    pub(super) fn colorants([white, red, green, blue]: [(f64, f64); 4]) -> Option<[[f64; 3]; 3]> {
        let corner = |(x, y): (f64, f64)| Chromaticity::new(x as f32, y as f32);
        let inside = |&(x, y): &(f64, f64)| x >= 0.0 && y > 0.0 && x + y <= 1.5;
        if ![white, red, green, blue].iter().all(inside) {
            return None;
        }
        let primaries = ColorPrimaries {
            red: corner(red),
            green: corner(green),
            blue: corner(blue),
        };
        let rows = ColorProfile::colorants_matrix(XyY::new(white.0, white.1, 1.0), primaries).v;
        let colorants = [0, 1, 2].map(|column| [rows[0][column], rows[1][column], rows[2][column]]);
        let sane = colorants.iter().flatten().all(|number| number.abs() < 4.0);
        sane.then_some(colorants)
    }

    /// Whether nobody would see a difference to sRGB.
    pub(super) fn is_srgb(&self) -> bool {
        let numbers = self.colorants.iter().flatten().zip(SRGB.iter().flatten());
        let same_corners = numbers.into_iter().all(|(ours, srgb)| (ours - srgb).abs() < CLOSE.0);
        same_corners && self.curves.iter().all(is_srgb)
    }

    /// As a profile: curves as light at each of 256 samples.
    pub(super) fn profile(&self) -> ColorProfile {
        let curve = |curve: &Curve<'_>| {
            let light = (0..=255).map(|sample| curve.light(f64::from(sample) / 255.0) * 65_535.0);
            Some(ToneReprCurve::Lut(light.map(|light| light.round() as u16).collect()))
        };
        let colorant = |[x, y, z]: [f64; 3]| Xyzd { x, y, z };
        let [red, green, blue] = self.colorants;
        let [red_curve, green_curve, blue_curve] = &self.curves;
        let mut profile = ColorProfile::new_srgb();
        profile.cicp = None;
        (profile.red_colorant, profile.red_trc) = (colorant(red), curve(red_curve));
        (profile.green_colorant, profile.green_trc) = (colorant(green), curve(green_curve));
        (profile.blue_colorant, profile.blue_trc) = (colorant(blue), curve(blue_curve));
        profile
    }
}

/// Whether nobody would see a difference to sRGB's curve.
pub(super) fn is_srgb(curve: &Curve<'_>) -> bool {
    (0..=32)
        .map(|step| f64::from(step) / 32.0)
        .all(|sample| (to_srgb(curve.light(sample)) - sample).abs() < CLOSE.1)
}
