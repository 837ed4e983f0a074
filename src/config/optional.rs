//! A setting whose empty text is none.

use serde::de::value::{Error, StringDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer};
use serde::{Deserialize, Serialize, Serializer};

pub(in crate::config) fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(to),
        None => to.serialize_str(""),
    }
}

pub(in crate::config) fn deserialize<'a, T: Deserialize<'a>, D: Deserializer<'a>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let text: StringDeserializer<Error> = text.into_deserializer();
    T::deserialize(text).map(Some).map_err(D::Error::custom)
}
