//! Recipes on the command line: `--preset web`, or `--rendition name=thumb,format=webp,width=320,height=320,fit=cover`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value};

use super::Failure;
use crate::recipe::{Recipe, Rendition};

/// What to make.
#[derive(Debug, Args)]
pub struct RecipeArguments {
    /// Make the renditions of this preset of the configuration.
    #[arg(long, value_name = "NAME", conflicts_with = "renditions", default_value = "web")]
    pub preset: String,
    /// Make this rendition; may be repeated, up to 16 times.
    ///
    /// Keys: name, format (jpeg, png, webp, same), width, height (1 to 16384 px), fit (inside, cover, contain, fill), quality (1 to 100),
    /// lossless, enlarge, background (#rrggbb).
    #[arg(long = "rendition", value_name = "KEY=VALUE,…", value_parser = rendition)]
    pub renditions: Vec<Rendition>,
}

impl RecipeArguments {
    /// The recipe that was asked for.
    pub(super) fn recipe(&self, presets: &BTreeMap<String, Recipe>) -> Result<Recipe, Failure> {
        if !self.renditions.is_empty() {
            return Recipe::new(self.renditions.clone()).map_err(|error| Failure::Usage(error.to_string()));
        }
        presets.get(&self.preset).cloned().ok_or_else(|| {
            let known: Vec<_> = presets.keys().map(String::as_str).collect();
            Failure::Usage(format!(
                "there is no preset {:?}, only: {}",
                self.preset,
                known.join(", ")
            ))
        })
    }
}

/// Reads `key=value,…` by the same rules as a job's rendition.
fn rendition(text: &str) -> Result<Rendition, String> {
    let mut fields = Map::new();
    for pair in text.split(',') {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
        let value = match (value.parse::<u64>(), value.parse::<bool>()) {
            _ if key == "name" => Value::from(value),
            (Ok(number), _) => Value::from(number),
            (_, Ok(truth)) => Value::from(truth),
            _ => Value::from(value),
        };
        if fields.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Fit, Target};

    #[test]
    fn a_rendition_is_read() {
        let read = rendition("name=320,format=webp,width=320,fit=cover,lossless=true").unwrap();
        assert_eq!(
            (read.name.as_str(), read.format, read.fit),
            ("320", Target::Webp, Fit::Cover)
        );
        assert_eq!((read.width, read.height, read.lossless), (Some(320), None, true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("thumb", "KEY=VALUE"),
            ("name=a,size=3", "size"),
            ("name=a,width=x", "u32"),
            ("name=a,name=b", "twice"),
        ];
        for (text, part) in cases {
            let error = rendition(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
