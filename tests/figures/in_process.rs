//! The API's router in this process, on resources of its own, without runners: what is measured is the API and the
//! emulator behind it.

use api::{Api, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use domain::{ApiKeyId, OrganizationId};
use localstack::fixture::Fixture;
use platform::addresses::AllowAddresses;
use platform::configuration::Limits;
use serde_json::Value;
use store::{CreatedApiKey, NewApiKey, Role, Store, fresh_id, now};
use tower::ServiceExt;

/// More than anybody asks for here.
const NO_LIMITS: Limits = Limits {
    requests_per_second: 100_000,
    runs_per_second: 100_000,
};

/// The router, and the store below it.
#[derive(Clone)]
pub(crate) struct Service {
    router: Router,
    pub(crate) store: Store,
}

/// One organization and an admin's key to it.
#[derive(Clone)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    key: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::on(Fixture::start().await.expect("a fixture").store)
    }

    pub(crate) fn on(store: Store) -> Self {
        let api = Api::new(store.clone(), AllowAddresses::default(), NO_LIMITS);
        Self {
            router: router(api),
            store,
        }
    }

    pub(crate) async fn organization(&self) -> Organization {
        let id = fresh_id(OrganizationId::new, now());
        let new = NewApiKey {
            id: fresh_id(ApiKeyId::new, now()),
            organization_id: id,
            name: "figures".to_owned(),
            role: Role::Admin,
            user_id: "figures".to_owned(),
            created_at: now(),
        };
        let created = self.store.create_api_key(&new, None).await;
        let CreatedApiKey::Created(text) = created.expect("the store answers") else {
            panic!("no key was made");
        };
        Organization { id, key: text.key }
    }

    /// Calls the API as a client of an organization does; the answer must have the status.
    pub(crate) async fn call(
        &self,
        organization: &Organization,
        method: &str,
        path: &str,
        body: Option<(&str, String)>,
        expected: StatusCode,
    ) -> Value {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", organization.key));
        let body = match body {
            None => Body::empty(),
            Some((content_type, text)) => {
                request = request.header("content-type", content_type);
                Body::from(text)
            }
        };
        let request = request.body(body).expect("a request");
        let answer = self.router.clone().oneshot(request).await;
        let answer = answer.expect("the router always answers");
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await;
        let bytes = bytes.expect("the answer is whole");
        assert_eq!(status, expected, "{}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).expect("the answer is JSON")
    }
}
