//! One type per kind of id, so that a workflow's id can't be taken for a run's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// A text that was given as an id and is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected a UUID such as 019a9f6e-0d3a-7b6c-8a53-3f1f0c6f2b11")]
pub struct InvalidId {
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUIDv7 (RFC 9562, section 5.7): ids sort by the time at which they were made.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or_default();
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The id as a plain UUID.
            #[must_use]
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Only the hyphenated lower-case form is an id: one id has one spelling, in paths and in keys.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let refused = || InvalidId { text: text.chars().take(64).collect() };
                let uuid = Uuid::try_parse(text).map_err(|_| refused())?;
                if uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) != text {
                    return Err(refused());
                }
                Ok(Self(uuid))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// Names a tenant.
    OrganizationId,
    /// Names a workflow, over all its versions.
    WorkflowId,
    /// Names a workflow run.
    RunId,
    /// Names a job.
    JobId,
    /// Names a job run.
    JobRunId,
    /// Names an artifact.
    ArtifactId,
    /// Names a question that a run asks a person.
    InputRequestId,
    /// Names an API key, without giving away the key.
    ApiKeyId,
    /// Names a webhook endpoint.
    WebhookEndpointId,
    /// Names one event for one endpoint; the same for all its attempts (the `webhook-id` header).
    DeliveryId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = RunId::new(Timestamp::from_millis(1_763_872_869_123), [7; 10]);
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<RunId>().is_err());
        assert!(id.as_uuid().simple().to_string().parse::<RunId>().is_err());
    }

    #[test]
    fn ids_sort_by_the_time_at_which_they_were_made() {
        let earlier = RunId::new(Timestamp::from_millis(1_000), [255; 10]);
        let later = RunId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(earlier.to_string() < later.to_string());
    }
}
