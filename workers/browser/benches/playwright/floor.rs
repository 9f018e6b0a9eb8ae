//! The floor: the same scenario as bare protocol calls, with as few round trips as it takes on pages that are known in
//! advance. Nothing is checked before it is acted on, so no client that can be relied on reaches it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use command_fds::{CommandFdExt, FdMapping};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::worker::{Opened, Steps, UPLOAD};

/// One browser with its page.
pub(crate) struct Session {
    child: tokio::process::Child,
    to_browser: pipe::Sender,
    from_browser: pipe::Receiver,
    received: Vec<u8>,
    events: VecDeque<Value>,
    last_id: u64,
    /// Of the page.
    session: String,
    upload: PathBuf,
    folder: TempDir,
}

impl Session {
    pub(crate) async fn open(executable: &str, flags: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let upload = folder.path().join("photo.txt");
        std::fs::write(&upload, UPLOAD)?;
        let (commands, to_browser) = std::io::pipe()?;
        let (from_browser, events) = std::io::pipe()?;
        let mut command = Command::new(executable);
        command
            .args(flags)
            // Otherwise a click on a page that was never painted is dropped, and one would have to wait for that.
            .arg("--allow-pre-commit-input")
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .fd_mappings(vec![
                FdMapping {
                    parent_fd: commands.into(),
                    child_fd: 3,
                },
                FdMapping {
                    parent_fd: events.into(),
                    child_fd: 4,
                },
            ])?;
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()?;
        let mut session = Self {
            child,
            to_browser: pipe::Sender::from_owned_fd(OwnedFd::from(to_browser))?,
            from_browser: pipe::Receiver::from_owned_fd(OwnedFd::from(from_browser))?,
            received: Vec::new(),
            events: VecDeque::new(),
            last_id: 0,
            session: String::new(),
            upload,
            folder,
        };
        session.attach().await?;
        Ok(session)
    }

    async fn attach(&mut self) -> anyhow::Result<()> {
        let params = json!({
            "behavior": "allowAndName",
            "downloadPath": self.folder.path(),
            "eventsEnabled": true,
        });
        self.call("Browser.setDownloadBehavior", params).await?;
        let targets = self.call("Target.getTargets", json!({})).await?;
        let mut targets = targets["targetInfos"].as_array().into_iter().flatten();
        let page = targets
            .find(|target| target["type"] == "page")
            .context("a browser begins with a page")?;
        let params = json!({"targetId": page["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", params).await?;
        let session = attached["sessionId"].as_str().context("a session")?;
        session.clone_into(&mut self.session);
        self.call("Page.enable", json!({})).await?;
        let params = json!({"enabled": true});
        self.call("Emulation.setFocusEmulationEnabled", params)
            .await?;
        Ok(())
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened {
            process: self.child.id().unwrap_or_default(),
        }
    }

    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.session.clear();
        self.call("Browser.close", json!({})).await?;
        self.child.wait().await?;
        Ok(())
    }

    pub(crate) async fn run(&mut self, site: &str) -> anyhow::Result<Steps> {
        let mut steps = Steps::begin();

        self.go(&format!("{site}/login")).await?;
        ensure!(self.evaluate("document.title").await? == "Sign in");
        steps.end("goto");

        for (field, text) in [("email", "hr@example.com"), ("password", "correct horse")] {
            let focus = format!("document.querySelector('[name={field}]').focus()");
            // The text takes another way to the page than the script, so it may not be sent along with it.
            self.call("Runtime.evaluate", json!({"expression": focus}))
                .await?;
            self.call("Input.insertText", json!({"text": text})).await?;
        }
        steps.end("fill twice");

        self.click("button").await?;
        self.event("Page.loadEventFired").await?;
        steps.end("click sign in");

        let heading = self.text_of("h1", "Welcome back").await?;
        ensure!(heading == "Welcome back");
        steps.end("wait 200 ms");

        self.click("a[href='/employees']").await?;
        self.event("Page.loadEventFired").await?;
        steps.end("click link");

        let rows = "[...document.querySelectorAll('#employees tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))";
        let rows = self.evaluate(rows).await?;
        let rows = rows.as_array().context("rows")?;
        let sum: u64 = rows
            .iter()
            .map(|row| row[4].as_str()?.parse::<u64>().ok())
            .sum::<Option<u64>>()
            .context("each row has a salary")?;
        ensure!(rows.len() == 100 && sum == 5_295_000);
        steps.end("extract");

        self.click("a[href='/employees.csv']").await?;
        let id = loop {
            let progress = self.event("Browser.downloadProgress").await?;
            if progress["state"] == "completed" {
                break progress["guid"].as_str().context("an id")?.to_owned();
            }
        };
        let csv = tokio::fs::read_to_string(self.folder.path().join(id)).await?;
        ensure!(csv.lines().count() == 101);
        steps.end("download");

        let params = json!({"format": "png", "optimizeForSpeed": true});
        let picture = self.call("Page.captureScreenshot", params).await?;
        let picture = bytes(&picture)?;
        ensure!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000);
        steps.end("screenshot");

        self.click("a[href='/settings']").await?;
        self.event("Page.loadEventFired").await?;
        let select = "(() => { const s = document.querySelector('#department'); s.value = 'eng'; s.dispatchEvent(new Event('change')); return document.querySelector('#chosen').innerText })()";
        ensure!(self.evaluate(select).await? == "eng");
        steps.end("click link, select");

        let params = json!({"expression": "document.querySelector('#photo')"});
        let field = self.call("Runtime.evaluate", params).await?;
        let params = json!({"objectId": field["result"]["objectId"], "files": [self.upload]});
        self.call("DOM.setFileInputFiles", params).await?;
        let read = "photo.txt, 13 characters";
        ensure!(self.text_of("#file", read).await? == read);
        steps.end("upload");

        let (left, top) = self.middle("#consent", "").await?;
        let (width, height) = (400.0, 120.0);
        let inside = self
            .middle(
                "#agree",
                "document.querySelector('#consent').contentDocument.",
            )
            .await?;
        self.click_at(left - width / 2.0 + inside.0, top - height / 2.0 + inside.1)
            .await?;
        let state =
            "document.querySelector('#consent').contentDocument.querySelector('#state').innerText";
        ensure!(self.evaluate(state).await? == "agreed");
        steps.end("click in iframe");

        let (x, y) = self.middle("#delete", "").await?;
        for kind in ["mousePressed", "mouseReleased"] {
            self.tell("Input.dispatchMouseEvent", mouse(kind, x, y))
                .await?;
        }
        self.event("Page.javascriptDialogOpening").await?;
        self.tell("Page.handleJavaScriptDialog", json!({"accept": false}))
            .await?;
        let deletion = "document.querySelector('#deletion').innerText";
        ensure!(self.evaluate(deletion).await? == "dismissed");
        steps.end("dialog");

        self.go(&format!("{site}/report")).await?;
        let sum = "document.querySelector('#sum').innerText";
        ensure!(self.evaluate(sum).await? == "5295000");
        steps.end("goto");

        let params = json!({"printBackground": true, "preferCSSPageSize": true});
        let pdf = self.call("Page.printToPDF", params).await?;
        let pdf = bytes(&pdf)?;
        ensure!(pdf.starts_with(b"%PDF") && pdf.len() > 5_000);
        steps.end("PDF");
        Ok(steps)
    }

    async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        self.events.clear();
        self.call("Page.navigate", json!({"url": url})).await?;
        self.event("Page.loadEventFired").await?;
        Ok(())
    }

    /// Waits until an element has this text.
    async fn text_of(&mut self, selector: &str, text: &str) -> anyhow::Result<Value> {
        let script = format!(
            "new Promise((resolve) => {{
                const look = () => {{
                    const element = document.querySelector({selector:?});
                    if (element?.innerText !== {text:?}) return;
                    observer.disconnect();
                    resolve(element.innerText);
                }};
                const observer = new MutationObserver(look);
                observer.observe(document, {{ subtree: true, childList: true, characterData: true }});
                look();
            }})"
        );
        self.evaluate(&script).await
    }

    async fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        let (x, y) = self.middle(selector, "").await?;
        self.events.clear();
        self.click_at(x, y).await
    }

    async fn click_at(&mut self, x: f64, y: f64) -> anyhow::Result<()> {
        self.tell("Input.dispatchMouseEvent", mouse("mousePressed", x, y))
            .await?;
        self.call("Input.dispatchMouseEvent", mouse("mouseReleased", x, y))
            .await?;
        Ok(())
    }

    /// The middle of an element of a document, or of the page's.
    async fn middle(&mut self, selector: &str, document: &str) -> anyhow::Result<(f64, f64)> {
        let document = if document.is_empty() {
            "document."
        } else {
            document
        };
        let script = format!(
            "(() => {{ const b = {document}querySelector({selector:?}).getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        );
        let point = self.evaluate(&script).await?;
        let part = |index: usize| point[index].as_f64().context("a number");
        Ok((part(0)?, part(1)?))
    }

    async fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", params).await?;
        ensure!(answer.get("exceptionDetails").is_none(), "{answer}");
        Ok(answer["result"]["value"].take())
    }

    async fn tell(&mut self, method: &str, params: Value) -> anyhow::Result<u64> {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.to_browser.write_all(&bytes).await?;
        Ok(self.last_id)
    }

    async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.tell(method, params).await?;
        loop {
            let mut message = self.receive().await?;
            if message["id"] == id {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].take());
            }
            if message.get("method").is_some() {
                self.events.push_back(message);
            }
        }
    }

    /// The next event of a kind, from those that came since the last action.
    async fn event(&mut self, method: &str) -> anyhow::Result<Value> {
        while let Some(mut event) = self.events.pop_front() {
            if event["method"] == method {
                return Ok(event["params"].take());
            }
        }
        loop {
            let mut message = self.receive().await?;
            if message["method"] == method {
                return Ok(message["params"].take());
            }
        }
    }

    async fn receive(&mut self) -> anyhow::Result<Value> {
        let mut scanned = 0;
        loop {
            if let Some(length) = self.received[scanned..].iter().position(|byte| *byte == 0) {
                let end = scanned + length;
                let message = serde_json::from_slice(&self.received[..end])?;
                self.received.drain(..=end);
                return Ok(message);
            }
            scanned = self.received.len();
            self.received.reserve(64 * 1024);
            ensure!(
                self.from_browser.read_buf(&mut self.received).await? > 0,
                "the browser has gone"
            );
        }
    }
}

fn mouse(kind: &str, x: f64, y: f64) -> Value {
    json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1})
}

fn bytes(answer: &Value) -> anyhow::Result<Vec<u8>> {
    Ok(STANDARD.decode(answer["data"].as_str().context("data")?)?)
}
