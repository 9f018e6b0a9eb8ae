//! How long a function takes from exec to its first answer, and how much memory: the api as it is deployed, and, if
//! their packages are installed (`tests/peers/install cold-start`), the same answers from functions in Python and Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::runtime_api::{RuntimeApi, Said};
use crate::stack::Stack;

/// How many starts of each function are measured, after one that warms the caches of the disk.
const STARTS: usize = 15;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A function and how it is started.
struct Function {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    folder: PathBuf,
}

/// What one start showed.
struct Start {
    first_answer: Duration,
    peak_megabytes: f64,
}

/// Measures and prints all of it.
pub(crate) fn report() {
    let executable = build();
    report_size(&executable);
    let mut functions = vec![Function {
        name: "Legwork's api",
        program: executable,
        arguments: Vec::new(),
        folder: std::env::temp_dir(),
    }];
    functions.extend(peers());

    let mut stack = Stack::start(&[]);
    let run = stack.create_run(&stack.register_sample(), "");
    stack.run_when(&run, "the run has ended", |run| {
        run["completedAt"] != Value::Null
    });
    let calls = [
        ("GET /health", event("/health", None)),
        (
            "GET /workflow-runs/{id} with a key",
            event(
                &format!("/workflow-runs/{run}"),
                Some(&stack.setting("apiKey")),
            ),
        ),
    ];
    for (call, event) in calls {
        println!("from exec to the answer of {call}, medians of {STARTS} starts:");
        let mut starts: Vec<Vec<Start>> = functions.iter().map(|_| Vec::new()).collect();
        // One of each by turns, so that a busy moment of the machine is everybody's.
        for round in 0..=STARTS {
            for (function, starts) in functions.iter().zip(&mut starts) {
                let start = measure(function, &stack, &event);
                if round > 0 {
                    starts.push(start);
                }
            }
        }
        let medians: Vec<(f64, f64)> = starts.iter().map(|starts| medians(starts)).collect();
        let (own_took, own_weighs) = medians[0];
        for (function, (took, weighs)) in functions.iter().zip(&medians) {
            println!(
                "  {:<16} {took:>7.1} ms  {weighs:>6.1} MB   ratio {:.1} and {:.1}",
                function.name,
                took / own_took,
                weighs / own_weighs
            );
        }
    }
    assert!(stack.stop().success());
}

/// Builds the api as it is released, alone, so that nothing else adds features to what it depends on.
fn build() -> PathBuf {
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--profile",
            "function",
            "--locked",
            "--quiet",
            "-p",
            "api",
        ])
        .current_dir(root())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the api can't be built");
    // Beside the folder of the profile that this is built with.
    let built = Path::new(env!("CARGO_BIN_EXE_legwork")).ancestors().nth(2);
    let built = built.expect("legwork lies in a profile's folder");
    built.join("function/api")
}

fn root() -> &'static Path {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    folder.expect("the package lies in the workspace")
}

fn report_size(executable: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zip = folder.path().join("api.zip");
    let pack = "import sys, zipfile as z; \
        z.ZipFile(sys.argv[1], 'w', z.ZIP_DEFLATED, compresslevel=9).write(sys.argv[2], 'bootstrap')";
    let status = Command::new("python3")
        .args(["-c", pack])
        .arg(&zip)
        .arg(executable)
        .status();
    assert!(status.expect("python3 starts").success());
    let megabytes = |path: &Path| {
        let length = fs::metadata(path).expect("the file is there").len();
        length as f64 / 1_000_000.0
    };
    println!(
        "the api function: {:.2} MB as a zip file, {:.2} MB unpacked",
        megabytes(&zip),
        megabytes(executable)
    );
}

fn peers() -> Vec<Function> {
    let folder = root().join("tests/peers/cold-start");
    let python = root().join(".legwork/peers/cold-start/bin/python");
    if !python.exists() || !folder.join("node_modules").exists() {
        println!("tests/peers/install cold-start has not been run: no figures of Python and Node");
        return Vec::new();
    }
    vec![
        Function {
            name: "Python, boto3",
            program: python,
            arguments: ["-m", "awslambdaric", "function.handler"]
                .map(PathBuf::from)
                .to_vec(),
            folder: folder.clone(),
        },
        Function {
            name: "Node, AWS SDK 3",
            program: PathBuf::from("node"),
            arguments: vec![PathBuf::from("function.mjs")],
            folder,
        },
    ]
}

/// What an HTTP API of API Gateway sends to its function (payload format 2.0).
fn event(path: &str, key: Option<&str>) -> Value {
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-length": "0",
            "host": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-6745a3b1-0123456789abcdef01234567",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1_795_420_800_000_u64,
        },
        "isBase64Encoded": false,
    });
    if let Some(key) = key {
        event["headers"]["authorization"] = json!(format!("Bearer {key}"));
    }
    event
}

/// A process that ends when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn measure(function: &Function, stack: &Stack, event: &Value) -> Start {
    let mut tasks = JoinSet::new();
    let mut runtime_api = RuntimeApi::listen(&mut tasks, event.clone()).await;
    let mut command = Command::new(&function.program);
    command
        .args(&function.arguments)
        .current_dir(&function.folder)
        .env_clear()
        .env("PATH", path())
        .envs(environment(stack))
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let running = Running(command.spawn().expect("the function starts"));
    let said = tokio::time::timeout(PATIENCE, runtime_api.said()).await;
    let peak_megabytes = peak_megabytes(running.0.id());
    drop(running);
    let name = function.name;
    match said.unwrap_or_else(|_| panic!("{name} says nothing within {PATIENCE:?}")) {
        Said::Failure(text) => panic!("{name} failed: {text}"),
        Said::Answer(at, answer) => {
            assert_eq!(answer["statusCode"], 200, "{name} answered {answer}");
            let id = event["rawPath"]
                .as_str()
                .and_then(|path| path.rsplit('/').next());
            let body = answer["body"].as_str().unwrap_or_default();
            let is_right = body.contains(r#""ok""#) || id.is_some_and(|id| body.contains(id));
            assert!(is_right, "{name} answered {answer}");
            Start {
                first_answer: at.duration_since(began),
                peak_megabytes,
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only this process can tell where Node is"
)]
fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// What Lambda and template.yaml put into a function's environment, with the emulator in AWS's place.
fn environment(stack: &Stack) -> Vec<(&'static str, String)> {
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", "api"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/api"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]first"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("LEGWORK_SECRETS_KEY_ID", "alias/secrets"),
        ("LEGWORK_WEBHOOK_KEY_ID", "alias/webhooks"),
        ("LEGWORK_LOG", "info"),
    ];
    let of_the_stack = [
        ("AWS_REGION", "awsRegion"),
        ("AWS_DEFAULT_REGION", "awsRegion"),
        ("AWS_ACCESS_KEY_ID", "awsAccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "awsSecretAccessKey"),
        ("AWS_ENDPOINT_URL", "awsEndpointUrl"),
        ("LEGWORK_TABLE", "tableName"),
        ("LEGWORK_RUN_QUEUE_URL", "runQueueUrl"),
        ("LEGWORK_DELIVERY_QUEUE_URL", "deliveryQueueUrl"),
        ("LEGWORK_ARTIFACT_BUCKET", "artifactBucket"),
    ];
    let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
    let of_the_stack = of_the_stack.map(|(name, setting)| (name, stack.setting(setting)));
    fixed.into_iter().chain(of_the_stack).collect()
}

/// The most memory that a living process has had, in MB.
fn peak_megabytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("the function is still there");
    kilobytes * 1024.0 / 1_000_000.0
}

fn medians(starts: &[Start]) -> (f64, f64) {
    let median = |figure: fn(&Start) -> f64| {
        let mut figures: Vec<f64> = starts.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    (
        median(|start| start.first_answer.as_secs_f64() * 1000.0),
        median(|start| start.peak_megabytes),
    )
}
