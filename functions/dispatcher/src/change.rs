//! What a record of the table's stream tells of. It never looks at the table: the record has the item as it was.

use aws_lambda_events::event::dynamodb::EventRecord;
use domain::JobRunId;
use domain::run::Run;
use serde_dynamo::AttributeValue;
use store::{Result, StoreError, decode_run};

/// A change that somebody may want to hear of.
#[derive(Debug)]
pub(crate) enum Change {
    /// Nothing that concerns the dispatcher.
    None,
    /// A run was created or changed.
    Run {
        /// The run as it was at that change.
        run: Box<Run>,
        /// Whether its status is another one than before.
        status_changed: bool,
    },
    /// A job run was created or changed.
    JobRun(JobRunId),
}

impl Change {
    /// Reads a record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], with the item's keys, if it is neither a run nor a job run and claims to be one.
    pub(crate) fn read(record: EventRecord) -> Result<Self> {
        let data = record.change;
        let text = |name: &str| match data.keys.get(name) {
            Some(AttributeValue::S(text)) => text.as_str(),
            _ => "",
        };
        // The event source's filter says the same; deletions, by TTL too, are nobody's event.
        if record.event_name == "REMOVE" {
            return Ok(Self::None);
        }
        // A write that leaves the sequence as it is only says when somebody must look again.
        if !data.old_image.is_empty()
            && data.old_image.get("sequence") == data.new_image.get("sequence")
        {
            return Ok(Self::None);
        }
        match text("sk") {
            "RUN" => {
                let status_changed = data.old_image.get("status") != data.new_image.get("status");
                let run = Box::new(decode_run(data.new_image.into())?);
                Ok(Self::Run {
                    run,
                    status_changed,
                })
            }
            "JOBRUN" => {
                let pk = text("pk");
                let id = pk.strip_prefix("JOBRUN#").and_then(|id| id.parse().ok());
                let corrupt = || StoreError::Corrupt {
                    what: pk.to_owned(),
                    reason: "this names no job run".to_owned(),
                };
                id.map(Self::JobRun).ok_or_else(corrupt)
            }
            _ => Ok(Self::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(event_name: &str, sk: &str, old: Option<u32>, new: u32) -> Result<Change> {
        let image = |sequence: u32| json!({ "sequence": { "N": sequence.to_string() } });
        read_images(event_name, sk, &old.map_or(Value::Null, image), &image(new))
    }

    fn read_images(event_name: &str, sk: &str, old: &Value, new: &Value) -> Result<Change> {
        let id = "019a9f6e-0d3a-7b6c-8a53-3f1f0c6f2b11";
        let record = json!({
            "eventID": "1",
            "eventName": event_name,
            "awsRegion": "eu-central-1",
            "dynamodb": {
                "Keys": { "pk": { "S": format!("{sk}#{id}") }, "sk": { "S": sk } },
                "OldImage": old,
                "NewImage": new,
                "SequenceNumber": "1",
                "SizeBytes": 1,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        Change::read(serde_json::from_value(record).expect("a record"))
    }

    #[test]
    fn a_change_of_a_job_run_is_read_from_the_keys_alone() {
        assert!(matches!(
            read("INSERT", "JOBRUN", None, 1),
            Ok(Change::JobRun(_))
        ));
        assert!(matches!(
            read("MODIFY", "JOBRUN", Some(1), 2),
            Ok(Change::JobRun(_))
        ));
    }

    #[test]
    fn what_leaves_the_sequence_as_it_is_is_no_change() {
        assert!(matches!(
            read("MODIFY", "JOBRUN", Some(2), 2),
            Ok(Change::None)
        ));
        assert!(matches!(
            read("MODIFY", "RUN", Some(2), 2),
            Ok(Change::None)
        ));
    }

    #[test]
    fn a_damaged_item_that_is_only_looked_at_later_is_no_change() {
        let due = |key: &str| json!({ "dueKey": { "S": key } });
        assert!(matches!(
            read_images("MODIFY", "RUN", &due("1"), &due("2")),
            Ok(Change::None)
        ));
    }

    #[test]
    fn deletions_and_items_beside_a_run_are_passed_over() {
        assert!(matches!(
            read("REMOVE", "RUN", Some(1), 2),
            Ok(Change::None)
        ));
        assert!(matches!(read("INSERT", "LEASE", None, 1), Ok(Change::None)));
    }

    #[test]
    fn a_run_that_cannot_be_read_is_an_error_and_not_passed_over() {
        assert!(matches!(
            read("INSERT", "RUN", None, 1),
            Err(StoreError::Corrupt { .. })
        ));
    }
}
