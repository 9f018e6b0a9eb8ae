//! Versions of workflows as runs are created of them: read and parsed once, since a version never changes.
//!
//! Whether the caller may use the workflow, and whether it still exists, is asked of the store each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::WorkflowId;
use domain::definition::Definition;
use domain::input_schema::InputSchema;
use serde_json::Value;
use store::Store;

use crate::Problem;

/// How many versions a process keeps. A definition has at most 256 KB, and most have a few.
const MOST_VERSIONS: usize = 64;

/// A version that runs can be created of.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) definition: Definition,
    /// What inputs are checked against, if the definition says so.
    pub(crate) input: Option<InputSchema>,
}

type Known = HashMap<(WorkflowId, u32), Arc<Version>>;

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
    ) -> Result<Option<Arc<Version>>, Problem> {
        if let Some(known) = self.lock().get(&(id, number)) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(saved) = store.workflow_version(id, number).await? else {
            return Ok(None);
        };
        let json: Value = serde_json::from_str(&saved.definition).unwrap_or_default();
        let unreadable = |errors: usize| {
            tracing::error!(workflow_id = %id, version = number, errors, "A saved definition can't be read");
            Problem::internal()
        };
        let definition =
            Definition::parse_json(&json).map_err(|errors| unreadable(errors.len()))?;
        let input = definition.input.as_ref().map(InputSchema::new);
        let input = input
            .transpose()
            .map_err(|errors| unreadable(errors.len()))?;
        let version = Arc::new(Version { definition, input });
        let mut known = self.lock();
        if known.len() >= MOST_VERSIONS {
            // Which ones are asked for again can't be known; the next runs tell.
            known.clear();
        }
        known.insert((id, number), Arc::clone(&version));
        Ok(Some(version))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
