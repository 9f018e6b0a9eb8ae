//! Versions of workflows as runs are created of them: read and parsed once, since a version never changes.
//!
//! Whether the caller may use the workflow, and whether it still exists, is asked of the store each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::WorkflowId;
use domain::definition::Definition;
use serde_json::Value;
use store::Store;

use crate::Problem;

/// How many versions a process keeps. A definition has at most 256 KB, and most have a few.
const MOST_VERSIONS: usize = 64;

type Known = HashMap<(WorkflowId, u32), Arc<Definition>>;

/// The versions that this process has read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions(Arc<Mutex<Known>>);

impl Versions {
    /// A version of a workflow that the caller has already found to be theirs.
    pub(crate) async fn read(
        &self,
        store: &Store,
        id: WorkflowId,
        number: u32,
    ) -> Result<Option<Arc<Definition>>, Problem> {
        if let Some(known) = self.lock().get(&(id, number)) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(saved) = store.workflow_version(id, number).await? else {
            return Ok(None);
        };
        let json: Value = serde_json::from_str(&saved.definition).unwrap_or_default();
        let definition = Definition::parse_json(&json).map_err(|errors| {
            tracing::error!(workflow_id = %id, version = number, errors = errors.len(), "A saved definition can't be read");
            Problem::internal()
        })?;
        let definition = Arc::new(definition);
        let mut known = self.lock();
        if known.len() >= MOST_VERSIONS {
            // Which ones are asked for again can't be known; the next runs tell.
            known.clear();
        }
        known.insert((id, number), Arc::clone(&definition));
        Ok(Some(definition))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
