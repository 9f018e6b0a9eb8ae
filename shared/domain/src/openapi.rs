//! How ids and times look in the published description of the API (OpenAPI 3.1). The other types derive it.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{
    ApiKeyId, ArtifactId, InputRequestId, JobId, JobRunId, RunId, Timestamp, WebhookEndpointId,
    WorkflowId,
};

/// The one spelling of an id.
const ID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

fn text(format: KnownFormat, description: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .description(Some(description))
        .examples([example])
}

macro_rules! id_schemas {
    ($($name:ident: $description:literal),+ $(,)?) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text(KnownFormat::Uuid, $description, "019ab0c8-7e10-7d3a-9c52-0f6f4c1b2a3d")
                    .pattern(Some(ID_PATTERN))
                    .into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

id_schemas! {
    WorkflowId: "A workflow's id, over all its versions.",
    RunId: "A workflow run's id.",
    JobId: "A job's id.",
    JobRunId: "A job run's id.",
    ArtifactId: "An artifact's id.",
    InputRequestId: "The id of a question that a run asks a person.",
    WebhookEndpointId: "A webhook endpoint's id.",
    ApiKeyId: "An API key's id. It is not the key.",
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let description = "A point in time in UTC (RFC 3339), with milliseconds.";
        text(
            KnownFormat::DateTime,
            description,
            "2026-11-23T09:00:00.000Z",
        )
        .into()
    }
}

impl ToSchema for Timestamp {}
