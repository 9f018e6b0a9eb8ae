//! A page of a list, and the cursor that leads to the next one.
//!
//! A cursor holds where the list goes on and a digest of which list it is, but no tenant: that is always the caller's.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::PageSize;
use utoipa::ToSchema;

use crate::Problem;
use crate::parameters::Parameters;

/// What a cursor begins with, so that a later form can be told from this one.
const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 8;

/// Longer ones are none of ours: the longest position is the name of a secret.
const LONGEST_CURSOR: usize = 256;

/// A page of a list, newest first unless the list says otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// The entries. There may be fewer than `limit`, even none, while `hasMore` is true.
    data: Vec<T>,
    /// Whether the list goes on.
    has_more: bool,
    /// What to give as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Which page of a list is asked for.
pub(crate) struct PageRequest<Position> {
    /// Which list with which filters.
    list: String,
    /// How many entries at most.
    pub(crate) limit: PageSize,
    /// Where the page before ended.
    pub(crate) after: Option<Position>,
}

impl<Position: FromStr + Display> PageRequest<Position> {
    /// Reads `limit` and `cursor`, the last parameters of a list. `list` tells the list and its filters apart from
    /// all others.
    pub(crate) fn read(mut parameters: Parameters, list: String) -> Result<Self, Problem> {
        let limit = parameters.limit();
        let cursor = parameters.text("cursor");
        parameters.finish()?;
        let after = match cursor {
            None => None,
            Some(cursor) => Some(decode(&cursor, &list).ok_or_else(Problem::invalid_cursor)?),
        };
        Ok(Self { list, limit, after })
    }

    /// The page to answer with.
    pub(crate) fn page<Entry, T>(
        &self,
        found: store::Page<Entry, Position>,
        show: impl FnMut(Entry) -> T,
    ) -> Page<T> {
        Page {
            data: found.items.into_iter().map(show).collect(),
            has_more: found.next.is_some(),
            next_cursor: found.next.map(|position| encode(&position, &self.list)),
        }
    }
}

fn digest(list: &str) -> [u8; DIGEST_BYTES] {
    let mut short = [0; DIGEST_BYTES];
    short.copy_from_slice(&Sha256::digest(list)[..DIGEST_BYTES]);
    short
}

fn encode(position: &impl Display, list: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(digest(list));
    bytes.extend(position.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<Position: FromStr>(cursor: &str, list: &str) -> Option<Position> {
    if cursor.len() > LONGEST_CURSOR {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (of_list, position) = rest.split_at_checked(DIGEST_BYTES)?;
    let is_ours = *version == VERSION && of_list == digest(list);
    let position = std::str::from_utf8(position).ok()?;
    is_ours.then(|| position.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let cursor = encode(&17, "versions of a");
        assert_eq!(decode(&cursor, "versions of a"), Some(17));
        assert_eq!(decode::<u32>(&cursor, "versions of b"), None);
    }

    #[test]
    fn a_cursor_that_somebody_changed_is_refused() {
        let cursor = encode(&"name", "names");
        for length in 0..cursor.len() - 5 {
            assert_eq!(decode::<u32>(&cursor[..length], "names"), None);
        }
        let long = encode(&"x".repeat(1_000), "names");
        assert_eq!(decode::<String>(&long, "names"), None);
        assert_eq!(decode::<String>("!", "names"), None);
        assert_eq!(
            decode::<String>(&format!("B{}", &cursor[1..]), "names"),
            None
        );
    }
}
