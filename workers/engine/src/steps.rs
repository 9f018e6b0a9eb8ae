//! What each verb does. `extract` has a module of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use browser::{Download, Error, Locator};
use domain::FailureCode;
use domain::definition::{
    self, Data, DialogAnswer, DownloadStart, EvaluationError, FieldSpec, FileSource, ScrollTo,
    Secret, Step, Tab, Template, Typed, Verb, is_file_name,
};
use domain::wire::ArtifactType;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cells::convert;
use crate::execution::{Execution, as_expression, without_query};
use crate::extraction::field;
use crate::failures::{Fault, Stop};
use crate::host::ArtifactBody;
use crate::mask::Mask;
use crate::resolution::Resolved;
use crate::seam::{Scrolling, UploadedContent, UploadedFile};

/// How large a response, or what a script gives, may be that becomes a variable.
const MOST_RESPONSE_BYTES: usize = 1024 * 1024;
/// How large a downloaded file may be that is looked through for secrets.
const MOST_MASKED_BYTES: u64 = 64 * 1024 * 1024;

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
            Verb::Click { target, options } => {
                let target = self.target(target)?;
                acted(self.browser.click(&target, options, timeout).await)
            }
            Verb::DoubleClick(target) => {
                let target = self.target(target)?;
                acted(self.browser.double_click(&target, timeout).await)
            }
            Verb::Hover(target) => {
                let target = self.target(target)?;
                acted(self.browser.hover(&target, timeout).await)
            }
            Verb::Drag { source, target } => {
                let (source, target) = (self.target(source)?, self.locate(target)?);
                acted(self.browser.drag(&source, &target, timeout).await)
            }
            Verb::Fill { field, value } => self.fill(field, value, timeout).await,
            Verb::Press { key, target, times } => {
                self.press(key, target.as_ref(), times.as_ref(), timeout)
                    .await
            }
            Verb::Type {
                field,
                value,
                delay,
            } => {
                let delay = delay.as_ref().map(|delay| delay.get(&self.scope));
                let delay = delay.transpose()?.unwrap_or_default();
                self.type_text(field, value, delay, timeout).await
            }
            Verb::Select { list, options } => {
                let list = self.target(list)?;
                let options = options.iter().map(|option| option.text(&self.scope));
                let options = options.collect::<Result<Vec<_>, _>>()?;
                acted(self.browser.select(&list, &options, timeout).await)
            }
            Verb::Check { target, is_checked } => {
                let target = self.target(target)?;
                acted(
                    self.browser
                        .set_checked(&target, *is_checked, timeout)
                        .await,
                )
            }
            Verb::Upload { field, files } => self.upload(field, files, timeout).await,
            Verb::Scroll(scroll) => self.scroll(scroll, timeout).await,
            Verb::WaitFor(condition) => self.wait_for(condition, timeout).await,
            Verb::AwaitResponse {
                pattern,
                during,
                variable,
            } => {
                self.await_response(pattern, during, variable.as_deref(), position, timeout)
                    .await
            }
            Verb::Pause(time) => {
                let time = self.allow(time.get(&self.scope)?)?;
                tokio::time::sleep(time).await;
                Ok(())
            }
            Verb::Extract(extract) => self.extract(extract, timeout).await,
            Verb::Get { field, variable } => self.get(field, variable, timeout).await,
            Verb::Set(values) => {
                for (name, data) in values {
                    // What was put together may be a secret that was read in parts.
                    let value = self.mask().apply_to_read(data.value(&self.scope)?);
                    self.scope.set(name, &value);
                }
                Ok(())
            }
            Verb::Evaluate {
                script,
                arguments,
                variable,
            } => {
                self.evaluate(script, arguments, variable.as_deref(), timeout)
                    .await
            }
            Verb::AskUser(question) => self.ask_user(question, position).await,
            Verb::Download {
                start,
                file_name,
                variable,
            } => {
                self.download(start, file_name.as_ref(), variable.as_deref(), timeout)
                    .await
            }
            Verb::Screenshot(screenshot) => self.screenshot(screenshot).await,
            Verb::Pdf { file_name } => self.pdf(file_name.as_ref()).await,
            Verb::Dialog(answer) => {
                let answer = match answer {
                    DialogAnswer::Dismiss => browser::DialogAnswer::Dismiss,
                    DialogAnswer::Accept { text: None } => browser::DialogAnswer::Accept,
                    DialogAnswer::Accept { text: Some(text) } => {
                        browser::DialogAnswer::AcceptWith(text.text(&self.scope)?)
                    }
                };
                acted(self.browser.answer_dialogs(answer).await)
            }
            Verb::Frame { frame, steps } => self.in_frame(frame, steps, position).await,
            Verb::Tab(tab) => self.change_tab(tab, timeout).await,
            Verb::If {
                when,
                then,
                otherwise,
            } => self.if_else(when, then, otherwise, position).await,
            Verb::ForEach(each) => self.for_each(each, position).await,
            Verb::Retry { policy, steps } => self.retry_group(*policy, steps, position).await,
            Verb::Assert { when, message } => {
                if self.check(when).await? {
                    return Ok(());
                }
                let message = match message {
                    Some(message) => message.text(&self.scope)?,
                    None => self.denial(&when.condition),
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

    pub(crate) async fn goto(&mut self, url: &Template, timeout: Duration) -> Result<(), Stop> {
        let url = url.text(&self.scope)?;
        self.note.target = Some(without_query(&url).unwrap_or_default());
        self.check_origin(&url)?;
        let Err(error) = self.browser.goto(&url, timeout).await else {
            return Ok(());
        };
        // Where redirects led to, which need not be where it began.
        if let Error::Navigation { url, .. } = &error {
            if let Some(reason) = self.host.explain_refusal(url).await {
                return Err(Fault::lasting(FailureCode::AddressBlocked, reason).into());
            }
            if let Some(why) = self.host.explain_failure(url).await {
                let message = format!("could not load {url}: {}", why.reason);
                let fault = Fault {
                    retryable: !why.is_lasting,
                    ..Fault::passing(FailureCode::NavigationFailed, message)
                };
                return Err(fault.into());
            }
        }
        navigated(Err(error))
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
        let target = self.target(target)?;
        let text = self.text_to_enter(&target, value).await?;
        acted(self.browser.fill(&target, &text, timeout).await)
    }

    async fn type_text(
        &mut self,
        target: &definition::Locator,
        value: &Template,
        delay: Duration,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let target = self.target(target)?;
        let text = self.text_to_enter(&target, value).await?;
        if value.is_secret() {
            self.begin_to_type(&text);
        }
        let typed = self.browser.type_text(&target, &text, delay, timeout);
        acted(typed.await)
    }

    /// Gives the text for a field. A secret is given only where the run may be, and pictures cover its field from then on.
    async fn text_to_enter(&mut self, target: &Locator, value: &Template) -> Result<Secret, Stop> {
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
            if !self.secret_fields.contains(target) {
                self.secret_fields.push(target.clone());
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix_seconds = now.unwrap_or_default().as_secs();
        let text = value.sensitive_text(&mut self.scope, unix_seconds)?;
        // A one-time code is a secret that nobody knew before.
        if value.is_secret() {
            self.renew_mask();
        }
        Ok(text)
    }

    async fn press(
        &mut self,
        key: &Template,
        target: Option<&definition::Locator>,
        times: Option<&Typed<i64>>,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let key = key.text(&self.scope)?;
        let target = target.map(|target| self.target(target)).transpose()?;
        let times = times.map(|times| times.get(&self.scope)).transpose()?;
        let mut focus = target.as_ref();
        for _ in 0..times.unwrap_or(1) {
            // Only the first one needs to bring the focus.
            acted(self.browser.press(&key, focus.take(), timeout).await)?;
        }
        Ok(())
    }

    async fn upload(
        &mut self,
        field: &definition::Locator,
        sources: &[FileSource],
        timeout: Duration,
    ) -> Result<(), Stop> {
        let field = self.target(field)?;
        let files = sources.iter().map(|source| self.file(source));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        acted(self.browser.upload(&field, &files, timeout).await)
    }

    fn file(&self, source: &FileSource) -> Result<UploadedFile, Stop> {
        match source {
            FileSource::Artifact(name) => {
                let name = name.text(&self.scope)?;
                let content = match self.kept.get(&name) {
                    Some(ArtifactBody::Bytes(bytes)) => UploadedContent::Bytes(bytes.clone()),
                    Some(ArtifactBody::File(path)) => UploadedContent::File(path.clone()),
                    None => {
                        let message = format!("the run has made no artifact `{name}` so far");
                        return Err(Fault::lasting(FailureCode::WorkflowInvalid, message).into());
                    }
                };
                Ok(UploadedFile { name, content })
            }
            FileSource::Text { name, text } => Ok(UploadedFile {
                name: self.file_name(name)?,
                content: UploadedContent::Bytes(text.text(&self.scope)?.into_bytes()),
            }),
            FileSource::Base64 { name, base64 } => {
                let text = base64.text(&self.scope)?;
                let bytes = BASE64.decode(text.trim()).map_err(|_| {
                    let message = format!("`{}` is not Base64", base64.source());
                    Fault::lasting(FailureCode::WorkflowInvalid, message)
                })?;
                Ok(UploadedFile {
                    name: self.file_name(name)?,
                    content: UploadedContent::Bytes(bytes),
                })
            }
        }
    }

    async fn scroll(&mut self, scroll: &definition::Scroll, timeout: Duration) -> Result<(), Stop> {
        let target = scroll.target.as_ref().map(|target| self.target(target));
        let target = target.transpose()?.or_else(|| {
            // Without an element, the document of the frame in which the step acts.
            let frame = self.frame.clone()?;
            Some(Locator::css("html").in_frame(frame))
        });
        let to = match &scroll.to {
            None => Scrolling::IntoView,
            Some(ScrollTo::Top) => Scrolling::Top,
            Some(ScrollTo::Bottom) => Scrolling::Bottom,
            Some(ScrollTo::By { x, y }) => Scrolling::By(x.get(&self.scope)?, y.get(&self.scope)?),
        };
        acted(self.browser.scroll(target.as_ref(), to, timeout).await)
    }

    async fn await_response(
        &mut self,
        pattern: &definition::ResponsePattern,
        during: &[Step],
        variable: Option<&str>,
        position: &str,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let status = pattern
            .status
            .as_ref()
            .map(|status| status.get(&self.scope));
        let pattern = browser::ResponsePattern {
            url: browser::UrlPattern::glob(pattern.url.text(&self.scope)?),
            method: pattern.method.map(str::to_owned),
            status: status
                .transpose()?
                .and_then(|status| u16::try_from(status).ok()),
        };
        let failed = |error: Error| match error {
            Error::NoBody { .. } => {
                Fault::passing(FailureCode::ExtractionFailed, error.to_string())
            }
            error => Fault::from_browser(&error, FailureCode::AssertionFailed),
        };
        self.note.awaited = Some(pattern.to_string());
        let expected = self.browser.expect_response(pattern).await;
        let expected = expected.map_err(failed)?;
        Box::pin(self.execute_steps(position, during)).await?;
        self.position = Some(position.to_owned());
        // What is around this step may have less time left than the step had when it began.
        let left = self.allow(timeout)?;
        let response = expected.receive(variable.is_some(), left).await;
        let response = response.map_err(failed)?;
        let at = without_query(&response.url).unwrap_or_default();
        self.note.found = Some(format!("{} from {at}", response.status));
        let Some(variable) = variable else {
            return Ok(());
        };
        let body = if response.body.len() > MOST_RESPONSE_BYTES {
            return Err(Fault::lasting(
                FailureCode::ExtractionFailed,
                format!("the response has more than {MOST_RESPONSE_BYTES} bytes: download it"),
            )
            .into());
        } else {
            serde_json::from_slice(&response.body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&response.body)))
        };
        let value = json!({"url": response.url, "status": response.status, "body": body});
        let value = self.mask().apply_to_read(value);
        self.scope.set(variable, &value);
        Ok(())
    }

    /// Says that a condition, which was checked last, does not hold, and why, as far as variables decide it.
    fn denial(&self, condition: &definition::Condition) -> String {
        let mut message = "what the step asserts is not so".to_owned();
        if let Some(awaited) = &self.note.awaited {
            message = format!("{message}: {awaited}");
        }
        let explained: Vec<String> = condition
            .expressions()
            .into_iter()
            .map(|expression| self.scope.explain(expression))
            .filter(|explained| !explained.is_empty())
            .collect();
        if explained.is_empty() {
            message
        } else {
            format!("{message}; {}", explained.join(", "))
        }
    }

    async fn evaluate(
        &mut self,
        script: &str,
        arguments: &IndexMap<String, Data>,
        variable: Option<&str>,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let arguments = arguments
            .iter()
            .map(|(name, data)| Ok((name.clone(), data.value(&self.scope)?)))
            .collect::<Result<Map<_, _>, EvaluationError>>()?;
        // What is too large stays in the page, and so does what
        // nobody asked for, which may be no JSON.
        let given = if variable.is_some() {
            format!(
                "(value) => {{ \
                 const size = (JSON.stringify(value) ?? '').length; \
                 if (size > {MOST_RESPONSE_BYTES}) \
                 throw new RangeError(`it gave ${{size}} bytes, and may give {MOST_RESPONSE_BYTES}`); \
                 return value }}"
            )
        } else {
            "() => {}".to_owned()
        };
        let function = format!("{}.then({given})", as_expression(script));
        let value = self
            .browser
            .evaluate(
                &function,
                Value::Object(arguments),
                self.frame.as_ref(),
                timeout,
            )
            .await
            .map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotActionable))?;
        if let Some(variable) = variable {
            let size_bytes = value.to_string().len();
            if size_bytes > MOST_RESPONSE_BYTES {
                let message = format!(
                    "the script gave {size_bytes} bytes, and may give {MOST_RESPONSE_BYTES}"
                );
                return Err(Fault::lasting(FailureCode::ExtractionFailed, message).into());
            }
            let value = self.mask().apply_to_read(value);
            self.scope.set(variable, &value);
        }
        Ok(())
    }

    async fn change_tab(&mut self, tab: &Tab, timeout: Duration) -> Result<(), Stop> {
        let changed = match tab {
            Tab::Open(target) => {
                let target = self.target(target)?;
                self.browser.open_tab(&target, timeout).await
            }
            Tab::Switch(pattern) => {
                let pattern = pattern.text(&self.scope)?;
                self.browser.switch_tab(&pattern, timeout).await
            }
            Tab::Close => self.browser.close_tab(timeout).await,
        };
        acted(changed)
    }

    async fn wait_for(
        &mut self,
        condition: &definition::Condition,
        timeout: Duration,
    ) -> Result<(), Stop> {
        match self.resolver().condition(condition)? {
            Resolved::Known(true) => Ok(()),
            Resolved::Known(false) => Err(Fault::lasting(
                FailureCode::AssertionFailed,
                "what is awaited can never hold",
            )
            .into()),
            Resolved::Page(condition) => {
                self.note.awaited = Some(condition.to_string());
                let waited = self.browser.wait_for(&condition, timeout).await;
                waited
                    .map_err(|error| Fault::from_browser(&error, FailureCode::AssertionFailed))?;
                self.note_which(&condition).await
            }
        }
    }

    /// Notes which of several alternatives came: the log is read to learn which way a site went.
    async fn note_which(&mut self, condition: &browser::Condition) -> Result<(), Stop> {
        let browser::Condition::Any(alternatives) = condition else {
            return Ok(());
        };
        for alternative in alternatives {
            if self.holds(alternative).await? {
                self.note.found = Some(alternative.to_string());
                break;
            }
        }
        Ok(())
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
        let target = self.target(target)?;
        // A list has one item for each element, and the browser reads each as a row of its own.
        let each = FieldSpec {
            locator: None,
            is_list: false,
            ..spec.clone()
        };
        let fields = [field(variable, &each, &self.resolver())?];
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
        if rows.cells.len() != 1 && !spec.is_list {
            let message = format!(
                "{} elements match {target}, and `get` reads one: add `nth`, or `type: list` for all",
                rows.cells.len()
            );
            return Err(Fault::lasting(FailureCode::ElementNotFound, message).into());
        }
        let mask = self.mask();
        let base = mask.apply(&rows.base);
        let cells = rows.cells.into_iter();
        let mut texts = cells.map(|row| row.into_iter().next().flatten());
        let cell = if spec.is_list {
            Some(Value::from_iter(texts).to_string())
        } else {
            texts.next().flatten()
        };
        let cell = cell.map(|cell| mask.apply(&cell));
        let value = convert(cell, spec, &base).map_err(|why| {
            Fault::lasting(FailureCode::ExtractionFailed, format!("{target}: {why}"))
        })?;
        // A number or a date may be a secret only as it is kept, and a list may have the parts of one.
        self.scope.set(variable, &mask.apply_to_read(value));
        Ok(())
    }

    async fn download(
        &mut self,
        start: &DownloadStart,
        file_name: Option<&Template>,
        variable: Option<&str>,
        timeout: Duration,
    ) -> Result<(), Stop> {
        let name = file_name
            .map(|template| self.file_name(template))
            .transpose()?;
        let download = match start {
            DownloadStart::Click(target) => {
                let target = self.target(target)?;
                self.browser.download(&target, timeout).await
            }
            DownloadStart::Url(url) => {
                let url = url.text(&self.scope)?;
                self.check_origin(&url)?;
                self.browser.download_url(&url, timeout).await
            }
        };
        let download =
            download.map_err(|error| Fault::from_browser(&error, FailureCode::DownloadFailed))?;
        let name = name.unwrap_or_else(|| self.mask().apply(&download.suggested_file_name));
        let size_bytes = mask_file(self.mask(), &download).await?;
        self.note.found = Some(format!("{name}, {size_bytes} bytes"));
        let name = self
            .store(
                ArtifactType::Download,
                &name,
                ArtifactBody::File(download.path.clone()),
            )
            .await?;
        // Many files would fill the disk, and all together may have only so much.
        if !self.keeps_artifacts {
            self.browser.discard(&download);
        }
        if let Some(variable) = variable {
            self.scope
                .set(variable, &json!({"name": name, "sizeBytes": size_bytes}));
        }
        Ok(())
    }

    async fn pdf(&mut self, file_name: Option<&Template>) -> Result<(), Stop> {
        let name = match file_name {
            Some(template) => self.file_name(template)?,
            None => "page.pdf".to_owned(),
        };
        let pdf = self.browser.pdf(&self.covered_fields()).await;
        let pdf = pdf.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotFound))?;
        let pdf = self.mask().apply_to_pdf(pdf);
        let name = self
            .store(ArtifactType::Pdf, &name, ArtifactBody::Bytes(pdf))
            .await?;
        self.note.found = Some(name);
        Ok(())
    }

    async fn screenshot(&mut self, screenshot: &definition::Screenshot) -> Result<(), Stop> {
        let element = screenshot
            .element
            .as_ref()
            .map(|element| self.locate(element))
            .transpose()?;
        let full_page = screenshot.full_page.as_ref().map(|it| it.get(&self.scope));
        let mut picture = self.picture(full_page.transpose()?.unwrap_or(false), element);
        for masked in &screenshot.mask {
            picture.mask.push(self.locate(masked)?);
        }
        let name = match &screenshot.file_name {
            Some(template) => self.file_name(template)?,
            None => "screenshot.png".to_owned(),
        };
        let png = self.browser.screenshot(&picture).await;
        let png = png.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotFound))?;
        let name = self
            .store(ArtifactType::Screenshot, &name, ArtifactBody::Bytes(png))
            .await?;
        self.note.found = Some(name);
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

    /// Resolves what a step acts on, and notes it for the log.
    fn target(&mut self, locator: &definition::Locator) -> Result<Locator, Stop> {
        let target = self.locate(locator)?;
        self.note.target = Some(target.to_string());
        Ok(target)
    }

    pub(crate) fn locate(&self, locator: &definition::Locator) -> Result<Locator, Stop> {
        Ok(self.resolver().locator(locator)?)
    }

    fn applies(&self, condition: Option<&definition::Expression>) -> Result<bool, Stop> {
        Ok(condition.map_or(Ok(true), |condition| self.scope.holds(condition))?)
    }
}

/// Takes the values of secrets out of a file that is text; any other stays as the site sent it. Gives its size.
async fn mask_file(mask: Arc<Mask>, download: &Download) -> Result<u64, Stop> {
    if mask.is_empty() || download.size_bytes > MOST_MASKED_BYTES {
        return Ok(download.size_bytes);
    }
    let path = download.path.clone();
    // It takes a while, and a long one where a site means it so: other runs, and this one's lease, do not wait for it.
    let masked = tokio::task::spawn_blocking(move || {
        let Some(masked) = mask.apply_to_file(&std::fs::read(&path)?) else {
            return Ok(None);
        };
        std::fs::write(&path, &masked).map(|()| u64::try_from(masked.len()).ok())
    });
    match masked.await.map_err(std::io::Error::other).flatten() {
        Ok(masked_bytes) => Ok(masked_bytes.unwrap_or(download.size_bytes)),
        Err(error) => {
            let message = format!("the downloaded file can't be read: {error}");
            Err(Fault::passing(FailureCode::DownloadFailed, message).into())
        }
    }
}

/// The result of a navigation, which acts on no element: a document that went away under it is a
/// navigation that failed.
fn navigated(result: Result<(), Error>) -> Result<(), Stop> {
    result.map_err(|error| {
        let mut fault = Fault::from_browser(&error, FailureCode::NavigationFailed);
        if matches!(error, Error::DocumentReplaced) {
            fault.code = FailureCode::NavigationFailed;
        }
        fault.into()
    })
}

/// The result of an action on an element.
fn acted(result: Result<(), Error>) -> Result<(), Stop> {
    result.map_err(|error| Fault::from_browser(&error, FailureCode::ElementNotActionable).into())
}
