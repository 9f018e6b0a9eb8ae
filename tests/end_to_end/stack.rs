//! A stack as `legwork up` starts it, in a folder of its own, with what a customer's program would do to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long anything may take that the tests wait for.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const ROSTER: &str = include_str!("../../examples/employee-roster.yaml");

/// `legwork` with a command, in a folder of its own, with the emulator that the whole checkout shares.
pub(crate) fn legwork(folder: &Path) -> Command {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.legwork/emulator");
    let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
    command
        .current_dir(folder)
        .env("LEGWORK_EMULATOR_DIR", shared)
        // What is left behind in the temporary folder can then be told from what others leave there.
        .env("TMPDIR", folder)
        .env_remove("AWS_ENDPOINT_URL");
    command
}

/// A stack that runs. Dropping it stops it.
pub(crate) struct Stack {
    process: Child,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    /// The tests read as a person's steps do, one after the other; only the HTTP client wants a runtime.
    runtime: tokio::runtime::Runtime,
}

impl Stack {
    /// Starts `legwork up`, with a sweep each second, and waits until it is ready.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let said = (Stdio::inherit(), Stdio::null());
        Self::start_with(&["--sweep-every", "1"], settings, said)
    }

    /// The same with all settings as they are by default.
    pub(crate) fn start_by_default() -> Self {
        Self::start_with(&[], &[], (Stdio::inherit(), Stdio::null()))
    }

    /// The same, with all that its processes say written to a file.
    pub(crate) fn start_with_logs(settings: &[(&str, &str)], logs: File) -> Self {
        let also = logs.try_clone().expect("a second handle");
        Self::start_with(
            &["--sweep-every", "1"],
            settings,
            (logs.into(), also.into()),
        )
    }

    fn start_with(
        arguments: &[&str],
        settings: &[(&str, &str)],
        (errors, output): (Stdio, Stdio),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let process = legwork(folder.path())
            .args(["up", "--port", "0"])
            .args(arguments)
            .envs(settings.iter().copied())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("legwork starts");
        let mut stack = Self {
            process,
            folder,
            http: client(),
            runtime,
        };
        stack.until("the stack is ready", |stack| {
            let ended = stack
                .process
                .try_wait()
                .expect("the stack can be waited for");
            assert!(
                ended.is_none(),
                "the stack ended before it was ready: {ended:?}"
            );
            stack.local_file().exists().then_some(())
        });
        stack
    }

    pub(crate) fn local_file(&self) -> PathBuf {
        self.folder.path().join(".legwork/local.json")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn local(&self) -> Value {
        let text = std::fs::read(self.local_file()).expect("local.json is there");
        serde_json::from_slice(&text).expect("local.json is whole whenever it is read")
    }

    pub(crate) fn setting(&self, name: &str) -> String {
        self.local()[name]
            .as_str()
            .expect("local.json has it as text")
            .to_owned()
    }

    pub(crate) fn workers(&self) -> Vec<i32> {
        serde_json::from_value(self.local()["workerPids"].clone()).expect("process ids")
    }

    /// Looks until something is there; fails when that takes too long.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited {} s in vain until {what}",
                PATIENCE.as_secs()
            );
            pause();
        }
    }

    /// Calls the API with a key of local.json; answers status and body.
    pub(crate) fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.setting("apiUrl")));
        request = request.bearer_auth(self.setting(key));
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, text) = self.send(request);
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("the answer is JSON")
        };
        (status, body)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        self.runtime.block_on(async {
            let answer = request.send().await.expect("the server answers");
            (
                answer.status().as_u16(),
                answer.text().await.expect("the answer is whole"),
            )
        })
    }

    /// Registers what the sample workflow needs; answers the workflow's id.
    pub(crate) fn register_sample(&self) -> String {
        for (name, value) in [
            ("hr_user", "hr@example.com"),
            ("hr_password", "correct-horse-battery"),
        ] {
            let (status, _) = self.call(
                "apiKey",
                "PUT",
                &format!("/secrets/{name}"),
                Some(&json!({ "value": value })),
            );
            assert_eq!(status, 204);
        }
        self.register(ROSTER)
    }

    pub(crate) fn register(&self, yaml: &str) -> String {
        let request = self
            .http
            .post(format!("{}/workflows", self.setting("apiUrl")))
            .bearer_auth(self.setting("apiKey"))
            .header("content-type", "application/yaml")
            .body(yaml.to_owned());
        let (status, text) = self.send(request);
        assert_eq!(status, 201, "{text}");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Creates a run on the practice site, with switches such as `2fa=on`; answers its id.
    pub(crate) fn create_run(&self, workflow: &str, switches: &str) -> String {
        let mut base_url = self.setting("practiceSiteUrl");
        if !switches.is_empty() {
            base_url = format!("{base_url}/with/{switches}");
        }
        let body = json!({ "workflowId": workflow, "input": { "baseUrl": base_url } });
        let (status, run) = self.call("apiKey", "POST", "/workflow-runs", Some(&body));
        assert_eq!(status, 201, "{run}");
        run["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn run(&self, id: &str) -> Value {
        let (status, run) = self.call("apiKey", "GET", &format!("/workflow-runs/{id}"), None);
        assert_eq!(status, 200, "{run}");
        run
    }

    /// Waits until a run fulfils a condition.
    pub(crate) fn run_when(
        &mut self,
        id: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        self.run_within(PATIENCE, id, what, holds)
    }

    /// The same with another patience.
    pub(crate) fn run_within(
        &mut self,
        patience: Duration,
        id: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let began = Instant::now();
        while began.elapsed() < patience {
            last = self.run(id);
            if holds(&last) {
                return last;
            }
            pause();
        }
        panic!(
            "waited {} s in vain until {what}; the run is {last:#}",
            patience.as_secs()
        );
    }

    /// What the practice site answers to a checker.
    pub(crate) fn practice_site(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.setting("practiceSiteUrl"));
        let (_, text) = self.send(self.http.get(url));
        serde_json::from_str(&text).expect("JSON")
    }

    /// The way to its emulator, for what no customer does.
    pub(crate) fn connection(&self) -> store::Connection {
        let text = |name: &str| self.setting(name);
        self.block_on(store::Connection::to_emulator(
            &text("awsEndpointUrl"),
            &text("awsRegion"),
            &text("awsAccessKeyId"),
            &text("awsSecretAccessKey"),
        ))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn webhooks(&self) -> Vec<Value> {
        let url = format!("{}/received", self.setting("webhookReceiverUrl"));
        let (_, text) = self.send(self.http.get(url));
        let mut answer: Value = serde_json::from_str(&text).expect("JSON");
        serde_json::from_value(answer["data"].take()).expect("a list")
    }

    /// Stops the stack as Ctrl-C does, and waits for its end.
    pub(crate) fn stop(&mut self) -> std::process::ExitStatus {
        signal(self.process.id().cast_signed(), Signal::INT);
        self.until("the stack has stopped", |stack| {
            stack.process.try_wait().expect("it can be waited for")
        })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            signal(self.process.id().cast_signed(), Signal::INT);
            let _ = self.process.wait();
        }
    }
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

/// The processes whose command line names a folder: whatever was started for the stack that lives there.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").expect("the list of processes");
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}

/// Fails if a stack that has ended left a process, or anything in its folder but `.legwork`, which is kept: temporary
/// folders of tests are there too.
pub(crate) fn assert_nothing_is_left(folder: &Path) {
    assert!(!folder.join(".legwork/local.json").exists());
    assert_eq!(processes_of(folder), Vec::<String>::new());
    let entries = std::fs::read_dir(folder).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name != ".legwork").collect();
    assert!(left.is_empty(), "temporary folders are left: {left:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a look at the outside world from time to time, not a synchronisation"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

#[expect(clippy::disallowed_methods, reason = "this is a customer's side")]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}
