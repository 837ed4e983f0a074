//! A scenario's name and its `--option value` pairs.

use std::collections::HashMap;
use std::str::FromStr;

/// What was asked for.
pub struct Options {
    /// The scenario.
    pub name: String,
    pairs: HashMap<String, String>,
}

impl Options {
    /// Reads arguments. Cargo's own `--bench` is none.
    pub fn of(arguments: impl Iterator<Item = String>) -> Self {
        let mut arguments = arguments.filter(|argument| argument != "--bench").peekable();
        let name = arguments.next_if(|first| !first.starts_with("--")).unwrap_or_default();
        let mut pairs = HashMap::new();
        while let Some(key) = arguments.next() {
            let value = arguments
                .next()
                .unwrap_or_else(|| panic!("{key}: its value is missing"));
            pairs.insert(key.trim_start_matches("--").to_owned(), value);
        }
        Self { name, pairs }
    }

    /// An option's value, or its default.
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> T {
        match self.pairs.get(name) {
            Some(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("--{name}: {text:?} is not understood")),
            None => default,
        }
    }
}
