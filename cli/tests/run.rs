//! `legwork run` as a shell sees it: a real workflow on the practice site, without AWS.

#[path = "../../shared/platform/tests/connect_proxy/mod.rs"]
mod connect_proxy;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use connect_proxy::{AUTHORIZATION, ConnectProxy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/employee-roster.yaml"
);
const PASSWORD: &str = "correct-horse-battery";

/// A practice site on a thread of its own; it ends with the test's process.
fn practice_site() -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port");
            let address = listener.local_addr().expect("an address");
            sender.send(address).expect("the test waits");
            practice_site::serve(listener, std::future::pending()).await
        })
    });
    receiver.recv().expect("it starts").to_string()
}

fn get(address: &str, path: &str) -> Value {
    let mut stream = TcpStream::connect(address).expect("the site");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A folder in which the program runs, and which it has to leave as it was, but for its results.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
        command
            .arg("run")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env("LEGWORK_SECRET_HR_USER", "hr-2fa+run@example.com")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end; nobody is at the prompt.
    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        output.expect("it starts and ends")
    }

    /// Nothing is left of the browser: neither a process nor a file.
    fn assert_is_clean(&self) {
        let left: Vec<_> = std::fs::read_dir(self.path("tmp"))
            .expect("the folder")
            .collect();
        assert!(left.is_empty(), "{left:?}");
        let marker = self.path("tmp").display().to_string();
        for process in std::fs::read_dir("/proc").expect("processes").flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            assert!(!command.contains(&marker), "still there: {command}");
        }
    }
}

/// All that the program left or said, to be looked through.
fn everything(folder: &Path, said: &[&str]) -> String {
    let mut all = said.concat();
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        if entry.path().is_dir() {
            all += &everything(&entry.path(), &[]);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            all += &entry.path().display().to_string();
            all += &String::from_utf8_lossy(&bytes);
        }
    }
    all
}

/// Reads what is said until it says this.
fn wait_for(stderr: &mut BufReader<ChildStderr>, awaited: &str) -> String {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(awaited) {
        let mut byte = [0];
        let length = stderr.read(&mut byte).expect("it can be read");
        assert_eq!(length, 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn end(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().expect("it can be killed");
            panic!("it did not end");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn the_sample_runs_alone_asks_at_the_prompt_and_leaves_its_artifacts_in_a_folder() {
    let site = practice_site();
    let place = Place::new();
    place.write(
        "secrets.json",
        &json!({"hr_password": PASSWORD}).to_string(),
    );
    let base_url = format!("baseUrl=http://{site}");
    let arguments = [
        SAMPLE,
        "--input",
        &base_url,
        "--secrets-file",
        "secrets.json",
        "--out",
        "results",
        "--allow-loopback",
    ];
    let mut child = place.command(&arguments).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = wait_for(&mut stderr, "is pictured in");
    said += &wait_for(&mut stderr, ": ");
    let phone = get(&site, "/phone/hr-2fa+run@example.com");
    let code = phone["code"].as_str().expect("a code").to_owned();
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{code}").expect("answered");
    stderr.read_to_string(&mut said).expect("it can be read");
    let mut stdout = String::new();
    let mut pipe = child.stdout.take().expect("a pipe");
    pipe.read_to_string(&mut stdout).expect("it can be read");
    assert_eq!(end(child), Some(0), "{said}");
    assert_eq!(
        serde_json::from_str::<Value>(&stdout).expect("JSON"),
        json!({"count": 47})
    );

    let results = place.path("results");
    let record = std::fs::read_to_string(results.join("run.json")).expect("the record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["status"], "COMPLETED");
    assert_eq!(record["output"], json!({"count": 47}));
    assert_eq!(record["currentStateName"], "downloading_csv");
    for artifact in record["artifacts"].as_array().expect("a list") {
        let name = artifact["name"].as_str().expect("a name");
        let bytes = std::fs::read(results.join("artifacts").join(name)).expect(name);
        assert_eq!(artifact["sizeBytes"], bytes.len());
    }
    for name in [
        "question.png",
        "employees.json",
        "employees.csv",
        "log.jsonl",
    ] {
        assert!(results.join("artifacts").join(name).is_file(), "{name}");
    }
    let all = everything(&results, &[&said, &stdout]);
    for secret in [PASSWORD, &code, "hr-2fa+run@example.com"] {
        assert!(!all.contains(secret), "{secret} in {said}");
    }
    place.assert_is_clean();
}

#[test]
fn the_first_workflow_of_the_guide_runs_as_the_guide_says() {
    let guide = include_str!("../../docs/workflows.md");
    let example = |begin: &str| {
        let (_, rest) = guide.split_once(begin).expect("an example");
        rest.split_once("```").expect("its end").0
    };
    let site = practice_site();
    let place = Place::new();
    let workflow =
        example("```yaml\n").replace("https://example.com", &format!("http://{site}/login"));
    place.write("picture.yaml", &workflow);
    let output = place.run(&["picture.yaml", "--allow-loopback"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in example("$ legwork run picture.yaml\n").lines() {
        assert!(said.lines().any(|known| known == line), "{line}: {said}");
    }
    for name in [
        "run.json",
        "artifacts/screenshot.png",
        "artifacts/log.jsonl",
    ] {
        assert!(place.path("legwork-run").join(name).is_file(), "{name}");
    }
}

#[test]
fn a_question_that_nobody_can_answer_ends_the_run_with_a_record() {
    let place = Place::new();
    place.write(
        "asks.yaml",
        "name: T\nstates: [{ name: asking, steps: [{ askUser: { prompt: Code, as: code } }] }]\n",
    );
    let output = place.run(&["asks.yaml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard input has ended"), "{said}");
    let record = std::fs::read_to_string(place.path("legwork-run/run.json")).expect("the record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["status"], "FAILED", "{record:#}");
    assert_eq!(record["failure"]["state"], "asking", "{record:#}");
    place.assert_is_clean();
}

#[test]
fn the_browser_presents_itself_as_the_workflow_says() {
    let site = practice_site();
    let place = Place::new();
    let workflow = r#"
name: Presented
har: always
browser:
  viewport: { width: 640, height: 480 }
  locale: de-DE
  timeZone: Asia/Tokyo
  userAgent: Presented/1.0
  headers: { X-Purpose: trying }
states:
  - name: looking
    steps:
      - goto: "http://SITE/login"
      - evaluate: { script: "[innerWidth, innerHeight, navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone, navigator.userAgent]", as: seen }
output: { seen: "{{ seen }}" }
"#;
    place.write("workflow.yaml", &workflow.replace("SITE", &site));
    let output = place.run(&["workflow.yaml", "--out", "results", "--allow-loopback"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("the output");
    assert_eq!(
        seen["seen"],
        json!([640, 480, "de-DE", "Asia/Tokyo", "Presented/1.0"])
    );
    let har = place.path("results").join("artifacts").join("network.har");
    let har: Value =
        serde_json::from_slice(&std::fs::read(har).expect("it is kept")).expect("JSON");
    let headers = har["log"]["entries"][0]["request"]["headers"].as_array();
    let sent = json!({"name": "X-Purpose", "value": "trying"});
    assert!(headers.expect("headers").contains(&sent), "{har:#}");
}

#[test]
fn the_exit_code_says_how_it_ended() {
    let site = practice_site();
    let place = Place::new();
    place.write(
        "ends.yaml",
        "name: T
input: { type: object, properties: { site: { type: string }, how: { type: string }, times: { type: integer } }, required: [site] }
states:
  - name: looking
    steps:
      - goto: '{{ input.site }}/login'
      - endWithNoAction: { if: input.how == 'nothing', reason: There is nothing to do }
      - fail: { if: input.how == 'fails', code: LOCKED, message: The account is locked }
output: { times: '{{ input.times + 1 }}' }
",
    );
    let url = format!("site=http://{site}");
    let run = |out: &str, how: &str, more: &[&str]| {
        let mut arguments = vec![
            "ends.yaml",
            "--input",
            &url,
            "--input",
            "times=2",
            "--out",
            out,
        ];
        let how = format!("how={how}");
        arguments.extend(["--input", &how]);
        arguments.extend(more);
        let output = place.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let loopback = ["--allow-loopback"];
    assert_eq!(run("a", "well", &loopback).0, Some(0));
    let (code, said) = run("b", "nothing", &loopback);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("There is nothing to do"), "{said}");
    let (code, said) = run("c", "fails", &loopback);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("FAILED (LOCKED): The account is locked"),
        "{said}"
    );
    assert!(place.path("c/artifacts/failure.png").is_file());
    let (code, said) = run("d", "well", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ADDRESS_BLOCKED"), "{said}");
    place.assert_is_clean();
}

#[test]
fn a_run_goes_through_the_proxy_that_its_workflow_names_and_shows_no_credentials() {
    let site = practice_site();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let proxy = runtime.block_on(ConnectProxy::start(Some(AUTHORIZATION)));
    let place = Place::new();
    place.write(
        "proxied.yaml",
        "name: T
browser: { proxy: { url: 'http://{{ input.proxy }}', username: me, password: '{{ secrets.proxy_password }}' } }
states: [{ name: looking, steps: [{ goto: 'http://{{ input.site }}/login' }] }]
output: { at: '{{ input.site }}' }
",
    );
    let run = |out: &str, password: &str, proxy: &str| {
        let (site, proxy) = (format!("site={site}"), format!("proxy={proxy}"));
        let arguments = ["proxied.yaml", "--input", &site, "--input", &proxy];
        let output = place
            .command(&arguments)
            .args(["--out", out, "--allow-loopback"])
            .env("LEGWORK_SECRET_PROXY_PASSWORD", password)
            .stdin(Stdio::null())
            .output()
            .expect("it starts and ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if place.path(out).is_dir() {
            let all = everything(&place.path(out), &[&said]);
            assert!(!all.contains(password), "{all}");
        }
        (output.status.code(), said)
    };
    let address = proxy.address.to_string();
    let (code, said) = run("a", "hunter22", &address);
    assert_eq!(code, Some(0), "{said}");
    let asked = proxy.asked();
    assert!(asked.contains(&site), "{asked:?}");

    let (code, said) = run("b", "another-one", &address);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the upstream proxy did not accept the credentials"),
        "{said}"
    );
    let record = std::fs::read_to_string(place.path("b/run.json")).expect("the record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["failure"]["retryable"], false, "{record:#}");

    let (code, said) = run("c", "hunter22", "somebody:canary-4711@proxy.test");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`username` and `password`"), "{said}");
    assert!(!said.contains("canary-4711"), "{said}");
    place.assert_is_clean();
}

#[test]
fn nothing_is_run_unless_workflow_input_secrets_and_folder_are_right() {
    let place = Place::new();
    place.write(
        "wrong.yaml",
        "name: T\nstates: [{ name: a, steps: [{ bakc: }] }]\n",
    );
    place.write(
        "right.yaml",
        "name: T
input: { type: object, properties: { n: { type: integer } }, required: [n] }
states: [{ name: a, steps: [{ fill: { css: input, value: '{{ secrets.pin }}' } }] }]
",
    );
    place.write("full", "something is here");
    std::fs::create_dir(place.path("used")).expect("a folder");
    place.write("used/something", "is here");
    place.write("broken.json", "{\"pin\": \"canary-4711\"");
    for (arguments, expected) in [
        (&["wrong.yaml"][..], "did you mean `back`?"),
        (&["nowhere.yaml"], "can't be read"),
        (&["right.yaml"], "the input is not what the workflow takes"),
        (&["right.yaml", "--input", "n=two"], "/n"),
        (&["right.yaml", "--input", "n"], "NAME=VALUE"),
        (
            &["right.yaml", "--input", "n=2"],
            "pin (LEGWORK_SECRET_PIN)",
        ),
        (
            &[
                "right.yaml",
                "--input",
                "n=2",
                "--secrets-file",
                "broken.json",
            ],
            "is not JSON: see line 1",
        ),
    ] {
        let output = place.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let mut used = place.command(&["right.yaml", "--input", "n=2", "--out", "used"]);
    let output = used
        .env("LEGWORK_SECRET_PIN", "1234")
        .stdin(Stdio::null())
        .output()
        .expect("it starts and ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    assert!(!place.path("legwork-run").exists());
}

/// A site that says which pages it was asked for.
fn listening_site() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (asked, asks) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let read = BufReader::new(&stream).read_line(&mut line);
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            // Told before it is answered: whoever has the answer may end at once, and then the test looks.
            if read.is_ok() && asked.send(path).is_err() {
                break;
            }
            let body = "<h1>hello</h1>";
            // Whoever asked may have hung up.
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, asks)
}

/// A run that waits for ever in its second state, and does this at its end.
fn waiting_run(
    place: &Place,
    address: SocketAddr,
    at_its_end: &str,
) -> (Child, BufReader<ChildStderr>) {
    place.write(
        "waits.yaml",
        &format!(
            "name: T
states:
  - {{ name: entering, steps: [{{ goto: 'http://{address}/in' }}, {{ screenshot: {{ fileName: in.png }} }}] }}
  - {{ name: waiting, steps: [{{ waitFor: {{ time: 1h }} }}] }}
  - {{ name: leaving, finally: true, steps: [{{ goto: 'http://{address}/out' }}, {{ {at_its_end} }}] }}
"
        ),
    );
    let mut child = place
        .command(&["waits.yaml", "--allow-loopback"])
        .spawn()
        .expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    wait_for(&mut stderr, "  waiting\n");
    (child, stderr)
}

fn tell(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("an id"), signal).expect("it can be told");
}

fn assert_was_cancelled(place: &Place) {
    let results = place.path("legwork-run");
    let record = std::fs::read_to_string(results.join("run.json")).expect("the record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["status"], "FAILED", "{record:#}");
    assert_eq!(record["failure"]["code"], "CANCELED", "{record:#}");
    assert_eq!(record["currentStateName"], "waiting", "{record:#}");
    assert_eq!(record["failure"]["state"], "waiting", "{record:#}");
    let artifacts = record["artifacts"].as_array().expect("a list");
    assert!(
        artifacts
            .iter()
            .any(|artifact| artifact["name"] == "in.png")
    );
    for artifact in artifacts {
        let name = artifact["name"].as_str().expect("a name");
        assert!(results.join("artifacts").join(name).is_file(), "{name}");
    }
    place.assert_is_clean();
}

#[test]
fn ctrl_c_ends_the_run_cleans_up_at_the_site_and_leaves_its_record_and_no_browser() {
    for signal in [Signal::INT, Signal::TERM] {
        let (address, asks) = listening_site();
        let place = Place::new();
        let (child, mut stderr) = waiting_run(&place, address, "back: ");
        tell(&child, signal);
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("it can be read");
        assert_eq!(end(child), Some(130), "{said}");
        assert!(said.contains("FAILED (CANCELED)"), "{said}");
        let pages: Vec<_> = asks
            .try_iter()
            .filter(|path| path != "/favicon.ico")
            .collect();
        assert_eq!(pages[..2], ["/in", "/out"], "{said}");
        assert_was_cancelled(&place);
        let log = place.path("legwork-run/artifacts/log.jsonl");
        let log = std::fs::read_to_string(log).expect("the log");
        assert!(log.contains("the run was cancelled"), "{log}");
    }
}

#[test]
fn a_second_ctrl_c_ends_the_run_at_once() {
    let (address, _asks) = listening_site();
    let place = Place::new();
    let (child, mut stderr) = waiting_run(&place, address, "waitFor: { time: 1h }");
    tell(&child, Signal::INT);
    wait_for(&mut stderr, "press Ctrl-C again");
    let told = Instant::now();
    tell(&child, Signal::INT);
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("it can be read");
    assert_eq!(end(child), Some(130), "{said}");
    // Cleaning up at the site would have taken half a minute.
    assert!(told.elapsed() < Duration::from_secs(15), "{said}");
    assert_was_cancelled(&place);
}
