//! Recipes on the command line: `--preset web`, or `--rendition name=thumb,format=webp,width=320,height=320,fit=cover`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value};

use super::Failure;
use crate::recipe::{Placeholder, Recipe, Rendition, Wishes};

/// The preset where nothing is asked for.
const DEFAULT: &str = "web";

/// What to make.
#[derive(Debug, Args)]
pub struct RecipeArguments {
    /// Make the renditions of this preset of the configuration [default: web, where nothing else is asked for].
    #[arg(long, value_name = "NAME", conflicts_with = "renditions")]
    pub preset: Option<String>,
    /// Make this rendition; may be repeated, up to 16 times.
    ///
    /// Keys: name, format (jpeg, png, webp, gif, same), width, height (1 to 16384 px), fit (inside, cover, contain, fill), gravity (centre, north,
    /// north-east, …, attention), rotate (90, 180, 270), flip (horizontal, vertical, both), crop.x, crop.y, crop.width, crop.height (px, or
    /// percent: 25%), quality (1 to 100, auto), max_bytes, chroma (420, 444), progressive,
    /// lossless, enlarge, background (#rrggbb, #rrggbbaa, transparent), blur (0.3 to 100 px),
    /// sharpen (0 to 10), linear, keep (copyright, icc, copyright+icc), palette,
    /// animation (first, keep), tolerate_truncated.
    #[arg(long = "rendition", value_name = "KEY=VALUE,…", value_parser = rendition)]
    pub renditions: Vec<Rendition>,
    /// Tell a placeholder of the picture, a short text to show while it loads: blurhash, thumbhash or dominant (its colour).
    #[arg(long, value_name = "KIND", value_parser = placeholder)]
    pub placeholder: Option<Placeholder>,
    /// Tell what the headers say: alpha, colours, and when the picture was taken.
    #[arg(long)]
    pub info: bool,
}

impl RecipeArguments {
    /// The recipe that was asked for.
    pub(super) fn recipe(&self, presets: &BTreeMap<String, Recipe>) -> Result<Recipe, Failure> {
        let told = self.placeholder.is_some() || self.info;
        let wishes = match &self.preset {
            None if told || !self.renditions.is_empty() => Wishes {
                renditions: self.renditions.clone(),
                ..Wishes::default()
            },
            preset => {
                let name = preset.as_deref().unwrap_or(DEFAULT);
                let found = presets.get(name).ok_or_else(|| {
                    let known: Vec<_> = presets.keys().map(String::as_str).collect();
                    Failure::Usage(format!("there is no preset {name:?}, only: {}", known.join(", ")))
                })?;
                found.wishes().clone()
            }
        };
        let recipe = Recipe::of(Wishes {
            placeholder: self.placeholder.or(wishes.placeholder),
            info: self.info || wishes.info,
            ..wishes
        });
        recipe.map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// Reads a word by the same rules as a job's `placeholder`.
fn placeholder(text: &str) -> Result<Placeholder, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

/// Reads `key=value,…` by the same rules as a job's rendition.
fn rendition(text: &str) -> Result<Rendition, String> {
    let mut fields = Map::new();
    for pair in text.split(',') {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
        let value = match key {
            "name" | "chroma" => Value::from(value),
            "keep" => value.split('+').map(Value::from).collect(),
            _ => plain(value),
        };
        let (table, field) = match key.split_once('.') {
            Some((group, field)) => {
                let table = fields.entry(group).or_insert_with(|| Value::Object(Map::new()));
                let table = table.as_object_mut().ok_or_else(|| format!("{group} is given twice"))?;
                (table, field)
            }
            None => (&mut fields, key),
        };
        if table.insert(field.to_owned(), value).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| match error.path().iter().next() {
        Some(_) => format!("{}: {}", error.path(), error.inner()),
        None => error.inner().to_string(),
    })
}

/// A number, a truth, or a text.
fn plain(value: &str) -> Value {
    let digits = value.starts_with(|c: char| c.is_ascii_digit());
    match (value.parse::<u64>(), value.parse::<bool>(), value.parse::<f64>()) {
        (Ok(number), ..) => Value::from(number),
        (_, Ok(truth), _) => Value::from(truth),
        (_, _, Ok(number)) if digits => Value::from(number),
        _ => Value::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::recipe::{Chroma, Colour, Fit, Flip, Gravity, Hundredths, Keep, Quality, Rotate, Target};

    #[test]
    fn the_default_preset_is_made_where_nothing_else_is_asked_for() {
        let web = Recipe::new(vec![Rendition::named("thumb")]).unwrap();
        let presets = BTreeMap::from([("web".to_owned(), web)]);
        let count = |preset: Option<&str>, info, placeholder| {
            let arguments = RecipeArguments {
                preset: preset.map(str::to_owned),
                renditions: Vec::new(),
                placeholder,
                info,
            };
            let recipe = arguments.recipe(&presets).map_err(|_| "refused")?;
            assert_eq!((recipe.info(), recipe.placeholder()), (info, placeholder));
            Ok::<_, &str>(recipe.renditions().len())
        };
        assert_eq!(count(None, false, None), Ok(1));
        assert_eq!(count(None, true, None), Ok(0));
        assert_eq!(count(None, false, Some(Placeholder::Blurhash)), Ok(0));
        assert_eq!(count(Some("web"), true, Some(Placeholder::Dominant)), Ok(1));
        assert_eq!(count(Some("none"), true, None), Err("refused"));
    }

    #[test]
    fn a_rendition_is_read() {
        let read = rendition("name=320,format=webp,width=320,fit=cover,lossless=true,chroma=444").unwrap();
        assert_eq!(
            (read.name.as_str(), read.format, read.fit),
            ("320", Target::Webp, Fit::Cover)
        );
        assert_eq!((read.width, read.height, read.lossless), (Some(320), None, true));
        assert_eq!(read.chroma, Some(Chroma::Full));
        let read = rendition("name=a,keep=copyright+icc,linear=true").unwrap();
        assert_eq!((read.keep, read.linear), (vec![Keep::Copyright, Keep::Icc], true));
    }

    #[test]
    fn a_rendition_with_every_wish_is_read() {
        let text = "name=a,width=9,height=9,fit=cover,gravity=attention,rotate=90,flip=both,crop.x=5,crop.width=50%,crop.height=12.5%,\
                    quality=auto,max_bytes=9000,background=transparent,blur=2,sharpen=0.8";
        let read = rendition(text).unwrap();
        assert_eq!(
            (read.gravity, read.rotate, read.flip),
            (Gravity::Attention, Rotate::Right, Some(Flip::Both))
        );
        assert_eq!(
            json!(read.crop),
            json!({ "x": 5, "y": 0, "width": "50%", "height": "12.5%" })
        );
        assert_eq!((read.quality, read.max_bytes), (Some(Quality::Auto), Some(9000)));
        assert_eq!(
            (read.background, read.blur, read.sharpen),
            (Colour([0; 4]), Hundredths(200), Hundredths(80))
        );
        assert_eq!(rendition("name=320").unwrap().name, "320");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("thumb", "KEY=VALUE"),
            ("name=a,size=3", "size"),
            ("name=a,width=x", "u32"),
            ("name=a,name=b", "twice"),
            ("name=a,crop=1,crop.x=1", "crop is given twice"),
            ("name=a,crop.width=1", "crop: missing field `height`"),
            ("name=a,crop.width=1,crop.height=x", "neither a number of pixels"),
            ("name=a,rotate=45", "rotate: 45 is not"),
            ("name=a,gravity=up", "gravity: unknown variant `up`"),
            ("name=a,sharpen=lots", "sharpen: invalid type"),
        ];
        for (text, part) in cases {
            let error = rendition(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
