//! Who is asking: the API key of a request decides the tenant.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use domain::OrganizationId;
use store::{AllowanceKind, Role, now};

use crate::{Api, Code, Problem};

/// Who is asking.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) organization_id: OrganizationId,
    pub(crate) user_id: String,
    role: Role,
}

impl Caller {
    /// Refuses a caller whose key may not do what they ask.
    pub(crate) fn must_be(&self, needed: Role) -> Result<(), Problem> {
        if self.role >= needed {
            return Ok(());
        }
        let detail = format!(
            "this needs the role {needed:?}; the key has {:?}",
            self.role
        )
        .to_lowercase();
        Err(Problem::new(Code::Forbidden, detail))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let refused = |detail: &str| Problem::new(Code::Unauthenticated, detail);
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
            refused("the request has no Authorization header; send \"Bearer <key>\"")
        })?;
        let (scheme, key) = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(|| refused("the Authorization header is not \"Bearer <key>\""))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused("the Authorization header is not \"Bearer <key>\""));
        }
        let found = api
            .store
            .api_key(key.trim())
            .await?
            .ok_or_else(|| refused("the API key is not known"))?;
        let span = tracing::Span::current();
        span.record(
            "organization_id",
            tracing::field::display(found.organization_id),
        );
        span.record("api_key_id", tracing::field::display(found.id));
        let at = now();
        api.limits
            .spend(
                &api.store,
                found.organization_id,
                AllowanceKind::Requests,
                at,
            )
            .await?;
        api.store.note_api_key_use(&found, at).await;
        Ok(Self {
            organization_id: found.organization_id,
            user_id: found.user_id,
            role: found.role,
        })
    }
}
