//! How much memory values take, and how much they may: a few texts of an expression could name a million copies of a
//! long text, or lie a million times in each other.

use minijinja::value::{Value, ValueKind};
use serde_json::Map;

/// How much memory a value may take that an expression, a template or a step's data makes, in bytes.
pub(super) const MOST_VALUE_BYTES: usize = 64 << 20;
/// How deep lists and maps may lie in each other.
const MOST_DEPTH: usize = 128;
/// What a value takes beside its text.
pub(super) const BYTES_OF_A_VALUE: usize = 64;

/// How much memory a value takes, about.
pub(super) fn weight(value: &serde_json::Value) -> usize {
    let inner: usize = match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(weight).sum(),
        serde_json::Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| name.len() + weight(value))
            .sum(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => 0,
    };
    BYTES_OF_A_VALUE + inner
}

/// What is left of the memory that a value may take while it is made.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    depth: usize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            depth: MOST_DEPTH,
        }
    }

    /// Takes room for so many bytes of text.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or("its value is too large")?;
        Ok(())
    }

    /// Reads something that lies inside of a list or a map.
    pub(super) fn inside<T, E: From<&'static str>>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or("its value is nested too deep")?;
        let value = read(self);
        self.depth += 1;
        value
    }

    /// Reads what minijinja has made. Its lists can be promises of the same items over and over.
    pub(super) fn read(&mut self, value: &Value) -> Result<serde_json::Value, &'static str> {
        const NOT_KEPT: &str = "its value can't be kept";
        self.take(BYTES_OF_A_VALUE)?;
        match value.kind() {
            ValueKind::String => {
                let text = value.as_str().ok_or(NOT_KEPT)?;
                self.take(text.len())?;
                Ok(text.into())
            }
            ValueKind::Seq | ValueKind::Iterable => self.inside(|room| {
                let items = value.try_iter().map_err(|_| NOT_KEPT)?;
                items.map(|item| room.read(&item)).collect()
            }),
            ValueKind::Map => self.inside(|room| {
                let mut entries = Map::new();
                for key in value.try_iter().map_err(|_| NOT_KEPT)? {
                    let name = match key.as_str() {
                        Some(name) => name.to_owned(),
                        None => key.to_string(),
                    };
                    room.take(name.len())?;
                    let value = value.get_item(&key).map_err(|_| NOT_KEPT)?;
                    entries.insert(name, room.read(&value)?);
                }
                Ok(entries.into())
            }),
            _ => serde_json::to_value(value).map_err(|_| NOT_KEPT),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_what_serde_would_make_of_it() {
        let value = json!({"a": [1, 2.5, null, true, "x"], "b": {"c": []}, "": -7});
        let made = Value::from(minijinja::value::Serde(&value));
        assert_eq!(Room::new(10_000).read(&made), Ok(value.clone()));
        assert!(Room::new(weight(&value) - 1).read(&made).is_err());
        assert!(Room::new(weight(&value)).read(&made).is_ok());
    }
}
