//! API keys for the holders that a local stack knows from the start. Never anywhere else: on AWS nobody has a key that
//! they didn't ask for.

use domain::{ApiKeyId, OrganizationId};
use store::{CreatedApiKey, NewApiKey, PageSize, Role, Store, fresh_id, now};

/// What such keys are called.
const NAME: &str = "local stack";

/// Makes a key for a holder. A stack whose data is kept makes new ones at each start, since nobody can read the old
/// ones; those are deleted.
///
/// # Errors
/// When the store doesn't answer, or the organization has too many other keys.
pub async fn renew(
    store: &Store,
    organization_id: OrganizationId,
    user_id: &str,
    role: Role,
) -> anyhow::Result<String> {
    let at = now();
    let new = NewApiKey {
        id: fresh_id(ApiKeyId::new, at),
        organization_id,
        name: NAME.to_owned(),
        role,
        user_id: user_id.to_owned(),
        created_at: at,
    };
    let CreatedApiKey::Created(made) = store.create_api_key(&new, None).await? else {
        anyhow::bail!("organization {organization_id} has too many API keys");
    };
    // The new one first: the last key of an admin can't be deleted. One page has all that there can be.
    let size = PageSize::new(store::MOST_API_KEYS).unwrap_or(PageSize::DEFAULT);
    let all = store.list_api_keys(organization_id, None, size).await?;
    for old in all.items {
        if old.name == NAME && old.user_id == user_id && old.id != new.id {
            store.delete_api_key(organization_id, old.id).await?;
        }
    }
    Ok(made.key)
}
