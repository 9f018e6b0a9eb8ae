//! Creates or updates the resources of template.yaml through CloudFormation, on whatever the SDK's
//! configuration points to: the emulator, LocalStack or AWS.
//!
//! It knows no resource by name: what exists is the template's to say. It never uploads code (see [`package`]).

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, StackStatus};
use tokio::time::{Instant, sleep};

/// Why a deployment did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// CloudFormation refuses the template or its parameters: correct them.
    #[error("CloudFormation refuses stack {stack}: {reason}")]
    Refused {
        /// The stack's name.
        stack: String,
        /// What CloudFormation said.
        reason: String,
    },
    /// A resource could not be created or changed: the reasons say which one, and why.
    #[error("stack {stack} is {status}: {}", reasons.join("; "))]
    Failed {
        /// The stack's name.
        stack: String,
        /// The status in which the stack ended.
        status: StackStatus,
        /// One line for each resource that failed, the first failure first.
        reasons: Vec<String>,
    },
    /// The stack is still changing: look at it again later.
    #[error("stack {stack} is still {status} after {} s", waited.as_secs())]
    Unfinished {
        /// The stack's name.
        stack: String,
        /// The last status seen.
        status: StackStatus,
        /// How long it was waited for.
        waited: Duration,
    },
    /// CloudFormation could not be asked: try again, or check the endpoint and the credentials.
    #[error("CloudFormation could not be asked to {action}: {reason}")]
    Fault {
        /// The call that failed.
        action: &'static str,
        /// What the SDK said about it.
        reason: String,
    },
}

/// How long a deployment may take. The whole stack, functions included, needs a few minutes on AWS.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The bucket that a template names whose functions are not deployed.
const NO_CODE: &str = "no-code";

/// Creates the stack, or brings it to the state that the template and the parameters describe, and
/// returns its outputs. A stack that is up to date already is left alone.
///
/// Functions need a template that [`package`] made; without it, deploy with `DeployFunctions=false`.
///
/// # Errors
/// See [`DeployError`]; the stack's events explain a failure.
pub async fn deploy(
    config: &aws_config::SdkConfig,
    stack_name: &str,
    template: &str,
    parameters: &[(&str, &str)],
) -> Result<BTreeMap<String, String>, DeployError> {
    let deployment = Deployment {
        client: Client::new(config),
        stack: stack_name,
        template: package(template, NO_CODE),
        parameters: parameters
            .iter()
            .map(|(key, value)| {
                Parameter::builder()
                    .parameter_key(*key)
                    .parameter_value(*value)
                    .build()
            })
            .collect(),
        until: Instant::now() + DEADLINE,
    };
    deployment.bring_about().await
}

/// Points the functions of a template to their zip files in a bucket: `target/lambda/api/` becomes
/// `s3://BUCKET/api.zip`. It is what `sam deploy` does for a deployment to AWS.
#[must_use]
pub fn package(template: &str, bucket: &str) -> String {
    const LOCAL: &str = "CodeUri: target/lambda/";
    template
        .split_inclusive('\n')
        .map(|line| match line.split_once(LOCAL) {
            Some((indent, name)) => {
                let name = name.trim().trim_end_matches('/');
                format!("{indent}CodeUri: s3://{bucket}/{name}.zip\n")
            }
            None => line.to_owned(),
        })
        .collect()
}

struct Deployment<'a> {
    client: Client,
    stack: &'a str,
    template: String,
    parameters: Vec<Parameter>,
    until: Instant,
}

/// What asking for a creation or an update set in motion.
#[derive(PartialEq, Eq)]
enum Changed {
    /// The stack's next status tells whether it succeeded.
    Something,
    /// The stack was as it should be, whatever became of an earlier update.
    Nothing,
}

impl Deployment<'_> {
    async fn bring_about(&self) -> Result<BTreeMap<String, String>, DeployError> {
        let changed = match self.settle().await? {
            None => self.create().await?,
            // A first creation that failed leaves a stack that can only be deleted.
            Some(stack)
                if matches!(
                    status(&stack),
                    StackStatus::RollbackComplete | StackStatus::CreateFailed
                ) =>
            {
                self.delete().await?;
                self.create().await?
            }
            Some(_) => self.update().await?,
        };
        match self.settle().await? {
            Some(stack) if changed == Changed::Nothing || is_complete(&stack) => Ok(outputs(stack)),
            Some(stack) => Err(self.explain(&stack).await),
            None => Err(self.refused("it was deleted while it was being deployed")),
        }
    }

    async fn create(&self) -> Result<Changed, DeployError> {
        tracing::debug!(stack = self.stack, "creating the stack");
        self.client
            .create_stack()
            .stack_name(self.stack)
            .template_body(&self.template)
            .set_parameters(Some(self.parameters.clone()))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityAutoExpand)
            .send()
            .await
            .map(|_| Changed::Something)
            .map_err(|error| self.classify("create the stack", error))
    }

    async fn update(&self) -> Result<Changed, DeployError> {
        tracing::debug!(stack = self.stack, "updating the stack");
        let answer = self
            .client
            .update_stack()
            .stack_name(self.stack)
            .template_body(&self.template)
            .set_parameters(Some(self.parameters.clone()))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityAutoExpand)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Changed::Something),
            Err(error)
                if error
                    .message()
                    .is_some_and(|text| text.contains("No updates are to be performed")) =>
            {
                Ok(Changed::Nothing)
            }
            Err(error) => Err(self.classify("update the stack", error)),
        }
    }

    async fn delete(&self) -> Result<(), DeployError> {
        tracing::debug!(
            stack = self.stack,
            "deleting the stack that was never created whole"
        );
        self.client
            .delete_stack()
            .stack_name(self.stack)
            .send()
            .await
            .map_err(|error| self.classify("delete the stack", error))?;
        match self.settle().await? {
            None => Ok(()),
            Some(stack) => Err(self.explain(&stack).await),
        }
    }

    /// Waits until nothing changes the stack any more. `None` means that there is no such stack.
    async fn settle(&self) -> Result<Option<Stack>, DeployError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let Some(stack) = self.describe().await? else {
                return Ok(None);
            };
            let now = status(&stack);
            if !now.as_str().ends_with("_IN_PROGRESS") {
                return Ok(Some(stack));
            }
            if Instant::now() + pause > self.until {
                return Err(DeployError::Unfinished {
                    stack: self.stack.to_owned(),
                    status: now,
                    waited: began.elapsed(),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn describe(&self) -> Result<Option<Stack>, DeployError> {
        match self
            .client
            .describe_stacks()
            .stack_name(self.stack)
            .send()
            .await
        {
            Ok(answer) => Ok(answer
                .stacks
                .unwrap_or_default()
                .into_iter()
                .find(|stack| status(stack) != StackStatus::DeleteComplete)),
            Err(error)
                if error
                    .message()
                    .is_some_and(|text| text.contains("does not exist")) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.classify("describe the stack", error)),
        }
    }

    /// Reads the stack's events back to where the last operation began, and keeps those that failed.
    async fn explain(&self, stack: &Stack) -> DeployError {
        let mut reasons = Vec::new();
        let mut pages = self
            .client
            .describe_stack_events()
            .stack_name(stack.stack_id.as_deref().unwrap_or(self.stack))
            .into_paginator()
            .items()
            .send();
        while let Some(Ok(event)) = pages.next().await {
            let status = event
                .resource_status
                .as_ref()
                .map_or("", |status| status.as_str());
            let resource = event.logical_resource_id.as_deref().unwrap_or("a resource");
            let reason = event
                .resource_status_reason
                .as_deref()
                .unwrap_or("no reason given");
            let about_the_stack =
                event.resource_type.as_deref() == Some("AWS::CloudFormation::Stack");
            // Resources that were only cancelled because another one failed explain nothing.
            if status.ends_with("_FAILED") && !reason.contains("cancelled") {
                reasons.push(format!("{resource} {status}: {reason}"));
            }
            if about_the_stack
                && matches!(
                    status,
                    "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS"
                )
            {
                break;
            }
        }
        if reasons.is_empty() {
            reasons.extend(stack.stack_status_reason.clone());
        }
        reasons.reverse();
        DeployError::Failed {
            stack: self.stack.to_owned(),
            status: status(stack),
            reasons,
        }
    }

    fn refused(&self, reason: &str) -> DeployError {
        DeployError::Refused {
            stack: self.stack.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn classify<E>(&self, action: &'static str, error: SdkError<E>) -> DeployError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match (error.code(), error.message()) {
            (
                Some(
                    "ValidationError"
                    | "InsufficientCapabilitiesException"
                    | "LimitExceededException",
                ),
                Some(reason),
            ) => self.refused(reason),
            _ => DeployError::Fault {
                action,
                reason: with_causes(&error),
            },
        }
    }
}

/// An SDK error says what happened only in its sources.
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn status(stack: &Stack) -> StackStatus {
    stack
        .stack_status
        .clone()
        .unwrap_or_else(|| StackStatus::from("UNKNOWN"))
}

fn is_complete(stack: &Stack) -> bool {
    matches!(
        status(stack),
        StackStatus::CreateComplete | StackStatus::UpdateComplete
    )
}

fn outputs(stack: Stack) -> BTreeMap<String, String> {
    stack
        .outputs
        .unwrap_or_default()
        .into_iter()
        .filter_map(|output| Some((output.output_key?, output.output_value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn packaging_points_each_function_to_its_zip_and_changes_nothing_else() {
        let template = "  Api:\n    CodeUri: target/lambda/api/\n  JobTrigger:\n    CodeUri: target/lambda/job-trigger/\n# end";
        let packaged = package(template, "code");
        assert_eq!(
            packaged,
            "  Api:\n    CodeUri: s3://code/api.zip\n  JobTrigger:\n    CodeUri: s3://code/job-trigger.zip\n# end"
        );
        assert_eq!(
            package(&packaged, "other"),
            packaged,
            "a packaged template stays as it is"
        );
    }
}
