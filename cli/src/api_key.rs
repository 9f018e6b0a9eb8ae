//! The first key of a deployment, and any other one that no admin key can make: written to the table directly.

use std::process::ExitCode;

use anyhow::{Context, bail};
use domain::{ApiKeyId, OrganizationId};
use platform::configuration::{Environment, Resources};
use store::{Connection, CreatedApiKey, NewApiKey, Role, Store, fresh_id, now};

use crate::display;

/// Makes a key and prints it, with its organization.
pub(crate) async fn main(
    organization: Option<OrganizationId>,
    role: Role,
    user: String,
    name: String,
) -> anyhow::Result<ExitCode> {
    let resources = Resources::read(&Environment::from_process())?;
    resources.table().context("no table to write the key to")?;
    let store = Store::new(&Connection::from_environment().await, resources);
    let at = now();
    let new = NewApiKey {
        id: fresh_id(ApiKeyId::new, at),
        organization_id: organization.unwrap_or_else(|| fresh_id(OrganizationId::new, at)),
        name,
        role,
        user_id: user,
        created_at: at,
    };
    let CreatedApiKey::Created(made) = store.create_api_key(&new, None).await? else {
        bail!(
            "organization {} has as many keys as it may have; delete some first",
            new.organization_id
        );
    };
    display::line(&format!("organization {}", new.organization_id));
    display::line(&format!("key          {}", made.key));
    Ok(ExitCode::SUCCESS)
}
