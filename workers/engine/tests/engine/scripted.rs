//! A browser and a host that follow a script, and one story that both write down what they are asked in.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use browser::{
    Condition, DialogAnswer, Download, Error, Field, Locator, Redaction, ResponsePattern,
    Screenshot,
};
use domain::definition::{ClickOptions, Definition, Secret};
use domain::run::SkippedState;
use engine::{
    Answer, ArtifactBody, Browser, Cut, ExpectedResponse, Host, Inputs, Interrupted, NewArtifact,
    Outcome, Question, ReceivedResponse, Report, Scrolling, UploadedContent, UploadedFile, execute,
};
use serde_json::{Value, json};

pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// What was asked, by whom, in which order.
#[derive(Clone, Default)]
pub(crate) struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn tell(&self, line: impl Into<String>) {
        self.0
            .lock()
            .expect("no test panics while it tells")
            .push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .expect("no test panics while it tells")
            .clone()
    }
}

/// A site made of a set of visible elements and of pages of rows.
pub(crate) struct ScriptedBrowser {
    pub(crate) story: Story,
    pub(crate) visible: HashSet<String>,
    /// What becomes visible by a click.
    pub(crate) reveals: HashMap<String, String>,
    pub(crate) pages: Vec<Rows>,
    pub(crate) page: usize,
    /// The locator of the link to the next page. Without further pages it is gone, or disabled.
    pub(crate) next: Option<String>,
    pub(crate) next_is_disabled_at_the_end: bool,
    /// How long that link must be waited for on each page.
    pub(crate) next_is_late: Duration,
    /// It goes in the moment in which the last page is drawn, and not before.
    pub(crate) next_goes_with_the_last_rows: bool,
    /// How long a read of the rows takes.
    pub(crate) reading_takes: Duration,
    /// What each page shows while it is being drawn, one read after the other.
    pub(crate) drawing: HashMap<usize, VecDeque<Rows>>,
    pub(crate) errors: HashMap<String, Error>,
    pub(crate) dom: String,
    pub(crate) url: String,
    pub(crate) filled: HashMap<String, String>,
    pub(crate) masks: Vec<String>,
    /// Files that were downloaded: they go with the browser.
    downloads: Vec<tempfile::NamedTempFile>,
    /// How many of them nobody needed any more.
    pub(crate) discarded: usize,
    /// What scripts give, and what stands in responses.
    pub(crate) evaluates_to: Value,
    /// How long the engine was ready to wait for each response.
    pub(crate) patience: Arc<Mutex<Vec<Duration>>>,
}

impl ScriptedBrowser {
    pub(crate) fn new(story: &Story) -> Self {
        Self {
            story: story.clone(),
            visible: HashSet::new(),
            reveals: HashMap::new(),
            pages: vec![Vec::new()],
            page: 0,
            next: None,
            next_is_disabled_at_the_end: false,
            next_is_late: Duration::ZERO,
            next_goes_with_the_last_rows: false,
            reading_takes: Duration::ZERO,
            drawing: HashMap::new(),
            errors: HashMap::new(),
            dom: "<html></html>".to_owned(),
            url: "https://portal.test/employees".to_owned(),
            filled: HashMap::new(),
            masks: Vec::new(),
            downloads: Vec::new(),
            discarded: 0,
            evaluates_to: Value::Null,
            patience: Arc::default(),
        }
    }

    fn call(&mut self, line: String) -> Result<(), Error> {
        let error = self.errors.remove(&line);
        self.story.tell(line);
        error.map_or(Ok(()), Err)
    }

    fn is_true(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Visible(locator) => self.is_visible(&locator.to_string()),
            Condition::Enabled(_) => self.leads_on(),
            Condition::Hidden(locator) => !self.is_visible(&locator.to_string()),
            Condition::Any(conditions) => {
                conditions.iter().any(|condition| self.is_true(condition))
            }
            Condition::All(conditions) => {
                conditions.iter().all(|condition| self.is_true(condition))
            }
            Condition::HasText { text, .. } => self.dom.contains(text.as_str()),
            Condition::UrlMatches(url) => self.url == *url,
            Condition::Expression(_) => false,
            other => panic!("the script has no answer for {other}"),
        }
    }

    fn is_late(&self, condition: &Condition, patience: Duration) -> bool {
        let next = self.next.as_deref().unwrap_or("no link");
        condition.to_string().contains(next) && patience < self.next_is_late
    }

    fn is_visible(&self, locator: &str) -> bool {
        if self.next.as_deref() == Some(locator) {
            return self.next_is_disabled_at_the_end || self.leads_on();
        }
        self.visible.contains(locator)
    }

    fn leads_on(&self) -> bool {
        let is_being_drawn = || {
            let drawing = self.drawing.get(&(self.page + 1));
            drawing.is_some_and(|drawing| !drawing.is_empty())
        };
        self.page + 1 < self.pages.len() || self.next_goes_with_the_last_rows && is_being_drawn()
    }
}

#[async_trait]
impl Browser for ScriptedBrowser {
    async fn allow_origins(&mut self, origins: &[String]) -> Result<(), Error> {
        self.call(format!("keep to {}", origins.join(", ")))
    }

    async fn goto(&mut self, url: &str, _: Duration) -> Result<(), Error> {
        self.call(format!("goto {url}"))
    }

    async fn back(&mut self, _: Duration) -> Result<(), Error> {
        self.call("back".to_owned())
    }

    async fn reload(&mut self, _: Duration) -> Result<(), Error> {
        self.call("reload".to_owned())
    }

    async fn url(&mut self) -> Result<String, Error> {
        Ok(self.url.clone())
    }

    async fn click(
        &mut self,
        target: &Locator,
        _: &ClickOptions,
        _: Duration,
    ) -> Result<(), Error> {
        let target = target.to_string();
        self.call(format!("click {target}"))?;
        if self.next.as_ref() == Some(&target) {
            self.page = (self.page + 1).min(self.pages.len() - 1);
        }
        if let Some(revealed) = self.reveals.get(&target) {
            self.visible.insert(revealed.clone());
        }
        Ok(())
    }

    async fn double_click(&mut self, target: &Locator, _: Duration) -> Result<(), Error> {
        self.call(format!("double click {target}"))
    }

    async fn hover(&mut self, target: &Locator, _: Duration) -> Result<(), Error> {
        self.call(format!("hover {target}"))
    }

    async fn fill(&mut self, target: &Locator, value: &Secret, _: Duration) -> Result<(), Error> {
        self.filled
            .insert(target.to_string(), value.expose().to_owned());
        self.call(format!("fill {target}"))
    }

    async fn drag(&mut self, source: &Locator, target: &Locator, _: Duration) -> Result<(), Error> {
        self.call(format!("drag {source} to {target}"))
    }

    async fn press(
        &mut self,
        key: &str,
        target: Option<&Locator>,
        _: Duration,
    ) -> Result<(), Error> {
        let target = target.map_or_else(String::new, |target| format!(" in {target}"));
        self.call(format!("press {key}{target}"))
    }

    async fn type_text(
        &mut self,
        target: &Locator,
        text: &Secret,
        _: Duration,
        _: Duration,
    ) -> Result<(), Error> {
        self.filled
            .insert(target.to_string(), text.expose().to_owned());
        self.call(format!("type into {target}"))
    }

    async fn select(
        &mut self,
        list: &Locator,
        options: &[String],
        _: Duration,
    ) -> Result<(), Error> {
        self.call(format!("select {} in {list}", options.join(", ")))
    }

    async fn set_checked(&mut self, target: &Locator, to: bool, _: Duration) -> Result<(), Error> {
        self.call(format!("set {target} to {to}"))
    }

    async fn upload(
        &mut self,
        field: &Locator,
        files: &[UploadedFile],
        _: Duration,
    ) -> Result<(), Error> {
        for file in files {
            let content = match &file.content {
                UploadedContent::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                UploadedContent::File(path) => path.display().to_string(),
            };
            self.call(format!("upload {}: {content} to {field}", file.name))?;
        }
        Ok(())
    }

    async fn scroll(
        &mut self,
        target: Option<&Locator>,
        to: Scrolling,
        _: Duration,
    ) -> Result<(), Error> {
        if to == Scrolling::Bottom {
            self.page = (self.page + 1).min(self.pages.len() - 1);
        }
        let target = target.map_or_else(|| "the page".to_owned(), ToString::to_string);
        self.call(format!("scroll {target} {to:?}"))
    }

    async fn wait_for(&mut self, condition: &Condition, timeout: Duration) -> Result<(), Error> {
        if self.is_true(condition) && !self.is_late(condition, timeout) {
            return self.call(format!("wait for {condition}"));
        }
        Err(Error::TimedOut {
            awaited: condition.to_string(),
            after: timeout,
            found: self.dom.clone(),
        })
    }

    async fn holds(&mut self, condition: &Condition) -> Result<bool, Error> {
        Ok(self.is_true(condition) && !self.is_late(condition, Duration::ZERO))
    }

    async fn read_rows(&mut self, _: &Locator, fields: &[Field]) -> Result<browser::Rows, Error> {
        self.call(format!("read page {}", self.page + 1))?;
        tokio::time::sleep(self.reading_takes).await;
        assert!(
            self.pages[self.page]
                .iter()
                .all(|row| row.len() == fields.len()),
            "the script has as many cells"
        );
        let drawn = self.drawing.get_mut(&(self.page + 1));
        let drawn = drawn.and_then(VecDeque::pop_front);
        Ok(browser::Rows {
            cells: drawn.unwrap_or_else(|| self.pages[self.page].clone()),
            ..browser::Rows::default()
        })
    }

    async fn download(&mut self, click: &Locator, _: Duration) -> Result<Download, Error> {
        self.call(format!("download {click}"))?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), "scripted")?;
        let path = file.path().to_owned();
        self.downloads.push(file);
        Ok(Download {
            path,
            suggested_file_name: "from site.csv".to_owned(),
            url: self.url.clone(),
            size_bytes: 3,
            sha256: String::new(),
        })
    }

    fn discard(&mut self, download: &Download) {
        assert!(self.downloads.iter().any(|it| it.path() == download.path));
        self.discarded += 1;
    }

    async fn check_syntax(&mut self, _: &str, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    async fn evaluate(
        &mut self,
        function: &str,
        argument: Value,
        frame: Option<&Locator>,
        _: Duration,
    ) -> Result<Value, Error> {
        let frame = frame.map_or_else(String::new, |frame| format!(" in {frame}"));
        let function = function.replace('\n', "");
        self.call(format!("evaluate{frame} {function} with {argument}"))?;
        Ok(self.evaluates_to.clone())
    }

    async fn expect_response(
        &mut self,
        pattern: ResponsePattern,
    ) -> Result<Box<dyn ExpectedResponse>, Error> {
        self.call(format!("expect {pattern}"))?;
        Ok(Box::new(ScriptedResponse {
            response: ReceivedResponse {
                url: self.url.clone(),
                status: 200,
                body: self.evaluates_to.to_string().into_bytes(),
            },
            patience: Arc::clone(&self.patience),
        }))
    }

    async fn download_url(&mut self, url: &str, timeout: Duration) -> Result<Download, Error> {
        self.download(&Locator::text(url), timeout).await
    }

    async fn pdf(&mut self, mask: &[Locator]) -> Result<Vec<u8>, Error> {
        self.masks = mask.iter().map(ToString::to_string).collect();
        self.call("pdf".to_owned())?;
        Ok(b"%PDF".to_vec())
    }

    fn conceal(&mut self, _: Redaction) {}

    async fn begin_har(&mut self, _: Redaction) {
        self.story.tell("record");
    }

    async fn end_har(&mut self) -> Option<Value> {
        Some(json!({"log": {"entries": [{"url": format!("https://a.test/?{SECRET}")}]}}))
    }

    async fn answer_dialogs(&mut self, answer: DialogAnswer) -> Result<(), Error> {
        self.call(format!("answer dialogs {answer:?}"))
    }

    async fn open_tab(&mut self, click: &Locator, _: Duration) -> Result<(), Error> {
        self.call(format!("open tab by {click}"))
    }

    async fn switch_tab(&mut self, url: &str, _: Duration) -> Result<(), Error> {
        self.call(format!("switch to tab {url}"))
    }

    async fn close_tab(&mut self, _: Duration) -> Result<(), Error> {
        self.call("close tab".to_owned())
    }

    async fn screenshot(&mut self, screenshot: &Screenshot) -> Result<Vec<u8>, Error> {
        self.masks = screenshot.mask.iter().map(ToString::to_string).collect();
        self.call("screenshot".to_owned())?;
        Ok(b"png".to_vec())
    }

    async fn dom_snapshot(&mut self) -> Result<String, Error> {
        Ok(self.dom.clone())
    }
}

/// A response that is there at once.
struct ScriptedResponse {
    response: ReceivedResponse,
    patience: Arc<Mutex<Vec<Duration>>>,
}

#[async_trait]
impl ExpectedResponse for ScriptedResponse {
    async fn receive(
        self: Box<Self>,
        _: bool,
        timeout: Duration,
    ) -> Result<ReceivedResponse, Error> {
        let mut patience = self.patience.lock().expect("no test panics while it waits");
        patience.push(timeout);
        Ok(self.response.clone())
    }
}

/// A host that keeps what it gets in memory.
pub(crate) struct RecordingHost {
    pub(crate) story: Story,
    pub(crate) artifacts: Vec<NewArtifact>,
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) asked: Vec<(u32, Option<String>)>,
    /// What the person was shown with the question.
    pub(crate) shown: Vec<ArtifactBody>,
    /// How the fields of all questions were labelled.
    pub(crate) labels: Vec<String>,
    /// How long the person takes to answer.
    pub(crate) thinks_for: Duration,
    pub(crate) refusal: Option<String>,
    pub(crate) skipped: Vec<SkippedState>,
    /// The state that must not be entered.
    pub(crate) interrupt_at: Option<&'static str>,
}

impl RecordingHost {
    pub(crate) fn new(story: &Story) -> Self {
        Self {
            story: story.clone(),
            artifacts: Vec::new(),
            answers: VecDeque::new(),
            asked: Vec::new(),
            shown: Vec::new(),
            labels: Vec::new(),
            thinks_for: Duration::ZERO,
            refusal: None,
            skipped: Vec::new(),
            interrupt_at: None,
        }
    }

    /// The text of an artifact.
    pub(crate) fn text(&self, name: &str) -> String {
        let artifact = self.artifacts.iter().find(|artifact| artifact.name == name);
        match artifact.map(|artifact| &artifact.body) {
            Some(ArtifactBody::Bytes(bytes)) => String::from_utf8(bytes.clone()).expect("text"),
            other => panic!("{name}: {other:?} among {:?}", self.names()),
        }
    }

    /// The text of an artifact's bytes; of a file, its path.
    pub(crate) fn bytes(&self, artifact: &NewArtifact) -> String {
        match &artifact.body {
            ArtifactBody::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            ArtifactBody::File(path) => path.display().to_string(),
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.artifacts
            .iter()
            .map(|artifact| artifact.name.as_str())
            .collect()
    }
}

#[async_trait]
impl Host for RecordingHost {
    async fn enter_state(
        &mut self,
        name: &str,
        skipped: Vec<SkippedState>,
    ) -> Result<(), Interrupted> {
        if self.interrupt_at == Some(name) {
            return Err(Interrupted::TakenAway);
        }
        self.story.tell(format!("state {name}"));
        self.skipped.extend(skipped);
        Ok(())
    }

    async fn ask_user(
        &mut self,
        question: Question,
        screenshot: Option<NewArtifact>,
    ) -> Result<Answer, Interrupted> {
        let screenshot = screenshot.expect("the person sees the page");
        self.shown.push(screenshot.body);
        self.story.tell(format!("ask {}", question.prompt));
        let labels = question
            .fields
            .iter()
            .map(|field| question.label(field).to_owned());
        self.labels.extend(labels);
        self.asked.push((question.tries_left, question.message));
        tokio::time::sleep(self.thinks_for).await;
        Ok(self.answers.pop_front().unwrap_or(Answer::TimedOut))
    }

    async fn store_artifact(&mut self, mut artifact: NewArtifact) -> Result<(), Interrupted> {
        self.story.tell(format!("store {}", artifact.name));
        // The browser's files go with it.
        if let ArtifactBody::File(path) = &artifact.body {
            let bytes = tokio::fs::read(path).await.expect("the file is there");
            artifact.body = ArtifactBody::Bytes(bytes);
        }
        self.artifacts.push(artifact);
        Ok(())
    }

    async fn explain_refusal(&mut self, _: &str) -> Option<String> {
        self.refusal.clone()
    }
}

/// A run with its script.
pub(crate) struct Stage {
    pub(crate) story: Story,
    pub(crate) browser: ScriptedBrowser,
    pub(crate) host: RecordingHost,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let story = Story::default();
        Self {
            browser: ScriptedBrowser::new(&story),
            host: RecordingHost::new(&story),
            story,
        }
    }

    /// Executes a definition with one secret, `token`.
    pub(crate) async fn try_run(&mut self, yaml: &str) -> Result<Report, Interrupted> {
        self.run_until(yaml, std::future::pending()).await
    }

    /// Executes a definition until it is cut.
    pub(crate) async fn run_until(
        &mut self,
        yaml: &str,
        cut: impl Future<Output = Cut> + Send,
    ) -> Result<Report, Interrupted> {
        let definition =
            Definition::parse_yaml(yaml).unwrap_or_else(|errors| panic!("{errors:#?}"));
        // A runner executes many runs as tasks, so the future must be able to move between threads.
        movable(execute(
            &definition,
            inputs(),
            &mut self.browser,
            &mut self.host,
            cut,
        ))
        .await
    }

    pub(crate) async fn run(&mut self, yaml: &str) -> Outcome {
        self.try_run(yaml)
            .await
            .expect("the host never interrupts")
            .outcome
    }
}

pub(crate) const SECRET: &str = "correct-horse-&-battery";

pub(crate) fn inputs() -> Inputs {
    let secrets =
        ["token", "hr_user", "hr_password"].map(|name| (name.to_owned(), Secret::new(SECRET)));
    Inputs {
        input: json!({"baseUrl": "https://portal.test", "month": "May"}),
        secrets: BTreeMap::from(secrets),
        outputs: Value::Object(serde_json::Map::new()),
    }
}

/// Rows of text cells.
pub(crate) fn rows(rows: &[&[&str]]) -> Rows {
    rows.iter()
        .map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect())
        .collect()
}

fn movable<F: Future + Send>(future: F) -> F {
    future
}
