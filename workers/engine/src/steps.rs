//! What each verb does. `extract` has a module of its own.

use std::time::{Duration, Instant};

use browser::{Error, Locator};
use domain::FailureCode;
use domain::definition::{self, AskUser, FieldSpec, Template, Verb, is_file_name};
use domain::wire::ArtifactType;

use crate::cells::convert;
use crate::execution::Execution;
use crate::extraction::field;
use crate::failures::{Fault, Stop};
use crate::host::{Answer, ArtifactBody, Question};
use crate::resolution::{Resolved, resolve_condition, resolve_locator};

impl Execution<'_> {
    /// Does what a step says, within its time.
    pub(crate) async fn perform(
        &mut self,
        verb: &Verb,
        position: &str,
        timeout: Duration,
    ) -> Result<(), Stop> {
        match verb {
            Verb::Goto { url } => self.goto(url, timeout).await,
            Verb::Back => navigated(self.browser.back(timeout).await),
            Verb::Reload => navigated(self.browser.reload(timeout).await),
            Verb::Click(target) => {
                let target = self.locate(target)?;
                acted(self.browser.click(&target, timeout).await)
            }
            Verb::DoubleClick(target) => {
                let target = self.locate(target)?;
                acted(self.browser.double_click(&target, timeout).await)
            }
            Verb::Hover(target) => {
                let target = self.locate(target)?;
                acted(self.browser.hover(&target, timeout).await)
            }
            Verb::Fill { field, value } => self.fill(field, value, timeout).await,
            Verb::Press { key } => {
                let key = key.text(&self.scope)?;
                acted(self.browser.press(&key, timeout).await)
            }
            Verb::WaitFor(condition) => self.wait_for(condition, timeout).await,
            Verb::Pause(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Verb::Extract(extract) => self.extract(extract, timeout).await,
            Verb::Get { field, variable } => self.get(field, variable, timeout).await,
            Verb::Set(values) => {
                for (name, template) in values {
                    let value = template.value(&self.scope)?;
                    self.scope.set(name, &value);
                }
                Ok(())
            }
            Verb::AskUser(question) => self.ask_user(question, position).await,
            Verb::Download { click, file_name } => {
                self.download(click, file_name.as_ref(), timeout).await
            }
            Verb::Screenshot(screenshot) => self.screenshot(screenshot).await,
            Verb::Assert { when, message } => {
                if self.check(when).await? {
                    return Ok(());
                }
                let message = match message {
                    Some(message) => message.text(&self.scope)?,
                    None => "what the step asserts is not so".to_owned(),
                };
                Err(Fault::lasting(FailureCode::AssertionFailed, message).into())
            }
            Verb::Fail {
                code,
                message,
                condition,
            } => {
                if !self.applies(condition.as_ref())? {
                    return Ok(());
                }
                let fault = Fault::lasting(FailureCode::WorkflowFailed, message.text(&self.scope)?);
                Err(Fault {
                    custom_code: Some(code.clone()),
                    ..fault
                }
                .into())
            }
            Verb::EndWithNoAction { reason, condition } => {
                if !self.applies(condition.as_ref())? {
                    return Ok(());
                }
                Err(Stop::NoAction {
                    reason: reason.text(&self.scope)?,
                })
            }
        }
    }

    async fn goto(&mut self, url: &Template, timeout: Duration) -> Result<(), Stop> {
        let url = url.text(&self.scope)?;
        self.check_origin(&url)?;
        let Err(error) = self.browser.goto(&url, timeout).await else {
            return Ok(());
        };
        if matches!(error, Error::Navigation { .. })
            && let Some(reason) = self.host.explain_refusal(&url).await
        {
            return Err(Fault::lasting(FailureCode::AddressBlocked, reason).into());
        }
        Err(Fault::from_browser(&error, FailureCode::NavigationFailed).into())
    }

    fn check_origin(&self, url: &str) -> Result<(), Stop> {
        if let Some(origins) = &self.origins {
            origins
                .check(url)
                .map_err(|why| Fault::lasting(FailureCode::AddressBlocked, why))?;
        }
        Ok(())
    }

    async fn fill(
        &mut self,
        target: &definition::Locator,
        value: &Template,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let target = self.locate(target)?;
        let text = value.sensitive_text(&self.scope)?;
        if value.is_secret() {
            // A page to which the site led the run gets no secret unless the workflow names its origin.
            if self
                .origins
                .as_ref()
                .is_some_and(|origins| origins.are_named())
            {
                let url = self.browser.url().await;
                let url = url.map_err(|error| {
                    Fault::from_browser(&error, FailureCode::ElementNotActionable)
                })?;
                self.check_origin(&url)?;
            }
            if !self.secret_fields.contains(&target) {
                self.secret_fields.push(target.clone());
            }
        }
        acted(self.browser.fill(&target, &text, timeout).await)
    }

    async fn wait_for(
        &mut self,
        condition: &definition::Condition,
        timeout: Duration,
    ) -> Result<(), Stop> {
        match resolve_condition(condition, &self.scope)? {
            Resolved::Known(true) => Ok(()),
            Resolved::Known(false) => Err(Fault::lasting(
                FailureCode::AssertionFailed,
                "what is awaited can never hold",
            )
            .into()),
            Resolved::Page(condition) => {
                let waited = self.browser.wait_for(&condition, timeout).await;
                waited.map_err(|error| {
                    Fault::from_browser(&error, FailureCode::AssertionFailed).into()
                })
            }
        }
    }

    async fn get(
        &mut self,
        spec: &FieldSpec,
        variable: &str,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let Some(target) = &spec.locator else {
            return Ok(());
        };
        let target = self.locate(target)?;
        let on_page = FieldSpec {
            locator: None,
            ..spec.clone()
        };
        let fields = [field(variable, &on_page, &self.scope)?];
        let failed = |error: Error| Fault::from_browser(&error, FailureCode::ElementNotFound);
        let found = self
            .browser
            .wait_for(&browser::Condition::Visible(target.clone()), timeout)
            .await;
        found.map_err(failed)?;
        let rows = self
            .browser
            .read_rows(&target, &fields)
            .await
            .map_err(failed)?;
        let [row] = rows.as_slice() else {
            let message = format!(
                "{} elements match {target}, and `get` reads one",
                rows.len()
            );
            return Err(Fault::lasting(FailureCode::ElementNotFound, message).into());
        };
        let page = self.browser.url().await.map_err(failed)?;
        let cell = row.first().and_then(|cell| cell.as_deref());
        let value =
            convert(cell, &on_page, url::Url::parse(&page).ok().as_ref()).map_err(|why| {
                Fault::lasting(FailureCode::ExtractionFailed, format!("{target}: {why}"))
            })?;
        self.scope.set(variable, &value);
        Ok(())
    }

    async fn ask_user(&mut self, question: &AskUser, position: &str) -> Result<(), Stop> {
        let mut message = None;
        for tries_left in (1..=question.tries).rev() {
            self.ask_once(question, tries_left, message).await?;
            Box::pin(self.execute_steps(position, &question.steps)).await?;
            self.position = Some(position.to_owned());
            let Some(rejected) = &question.rejected else {
                return Ok(());
            };
            if !self.check(&rejected.when).await? {
                return Ok(());
            }
            message = Some(match &rejected.message {
                Some(message) => message.text(&self.scope)?,
                None => "That was not accepted".to_owned(),
            });
        }
        let message = format!(
            "the site refused what was answered, {} times",
            question.tries
        );
        Err(Fault::passing(FailureCode::UserInputRejected, message).into())
    }

    async fn ask_once(
        &mut self,
        question: &AskUser,
        tries_left: u32,
        message: Option<String>,
    ) -> Result<(), Stop> {
        let asked = Question {
            prompt: question.prompt.text(&self.scope)?,
            fields: question.fields.clone(),
            timeout: question.timeout,
            tries_left,
            message,
        };
        let picture = self.picture(false, None);
        let screenshot = self.browser.screenshot(&picture).await.ok();
        let began = Instant::now();
        let answer = self.host.ask_user(asked, screenshot).await;
        self.awaiting_user += began.elapsed();
        let mut values = match answer? {
            Answer::Given(values) => values,
            Answer::TimedOut => {
                let message = format!("nobody answered within {} s", question.timeout.as_secs());
                return Err(Fault::passing(FailureCode::UserInputTimeout, message).into());
            }
        };
        for field in &question.fields {
            let Some(value) = values.remove(&field.name) else {
                let message = format!("the answer has no `{}`", field.name);
                return Err(Fault::lasting(FailureCode::UserInputRejected, message).into());
            };
            self.scope.set_answer(&field.name, value);
        }
        Ok(())
    }

    async fn download(
        &mut self,
        click: &definition::Locator,
        file_name: Option<&Template>,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let target = self.locate(click)?;
        let name = file_name
            .map(|template| self.file_name(template))
            .transpose()?;
        let download = self.browser.download(&target, timeout).await;
        let download =
            download.map_err(|error| Fault::from_browser(&error, FailureCode::DownloadFailed))?;
        let name = name.unwrap_or(download.suggested_file_name);
        self.store(
            ArtifactType::Download,
            &name,
            ArtifactBody::File(download.path),
        )
        .await?;
        Ok(())
    }

    async fn screenshot(&mut self, screenshot: &definition::Screenshot) -> Result<(), Stop> {
        let element = screenshot
            .element
            .as_ref()
            .map(|element| self.locate(element))
            .transpose()?;
        let mut picture = self.picture(screenshot.full_page, element);
        for masked in &screenshot.mask {
            picture.mask.push(self.locate(masked)?);
        }
        let name = match &screenshot.file_name {
            Some(template) => self.file_name(template)?,
            None => "screenshot.png".to_owned(),
        };
        let png = self.browser.screenshot(&picture).await;
        let png = png.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotFound))?;
        self.store(ArtifactType::Screenshot, &name, ArtifactBody::Bytes(png))
            .await?;
        Ok(())
    }

    /// Gives the name that a template makes for an artifact.
    pub(crate) fn file_name(&self, template: &Template) -> Result<String, Stop> {
        let name = template.text(&self.scope)?;
        if is_file_name(&name) {
            return Ok(name);
        }
        let message = format!(
            "`{}` made `{name}`, which is not a file's name",
            template.source()
        );
        Err(Fault::lasting(FailureCode::WorkflowInvalid, message).into())
    }

    pub(crate) fn locate(&self, locator: &definition::Locator) -> Result<Locator, Stop> {
        Ok(resolve_locator(locator, &self.scope)?)
    }

    fn applies(&self, condition: Option<&definition::Expression>) -> Result<bool, Stop> {
        Ok(condition.map_or(Ok(true), |condition| self.scope.holds(condition))?)
    }
}

/// The result of a navigation within the page's own history.
fn navigated(result: Result<(), Error>) -> Result<(), Stop> {
    result.map_err(|error| Fault::from_browser(&error, FailureCode::NavigationFailed).into())
}

/// The result of an action on an element.
fn acted(result: Result<(), Error>) -> Result<(), Stop> {
    result.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotActionable).into())
}
