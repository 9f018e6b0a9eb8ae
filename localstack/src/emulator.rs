//! The AWS emulator (ministack) as a child process: installs it once into a virtual environment of the
//! project's own, starts it on loopback, and ends it with the stack.
//!
//! It never listens on another address than loopback, never outlives the process that started it
//! (emulator.py says how), and knows nothing of what is deployed on it.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// The emulator's packages, each pinned with the hashes of its files.
const REQUIREMENTS: &str = include_str!("../requirements.txt");
/// The program that runs the emulator until its standard input ends.
const LAUNCHER: &str = include_str!("emulator.py");
/// Where kept data says which port it was served on.
const PORT_FILE: &str = "port";
/// What answers that the emulator is up.
const HEALTH_PATH: &str = "/_ministack/health";
/// How long a start may take; it takes less than a second on an idle machine.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long the emulator may take to save its state and end. Its launcher ends it after ten seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(12);
/// The pause between two looks at a starting emulator.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Another program can take the chosen port before the emulator does; then another port is chosen.
const START_ATTEMPTS: u32 = 3;
/// How many emulators this process has begun to start.
static STARTS: AtomicU64 = AtomicU64::new(0);
/// The oldest Python that all pinned packages run on.
const PYTHON_CHECK: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
/// How a Debian machine gets what [`PYTHON_CHECK`] asks for.
const PYTHON_PACKAGE: &str = "python3-venv";

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// Something has to be installed by a person first: the message has the command.
    #[error(
        "the AWS emulator needs Python 3.11 or newer with its venv module; \
         install it (on Debian: `sudo apt-get install -y python3 python3-venv`) and start again"
    )]
    PythonMissing,
    /// A command of the installation failed: read its output, check the network, and start again.
    #[error("installing the AWS emulator failed: `{command}` ended with {status}:\n{output}")]
    Installation {
        /// The command that failed.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// The emulator did not come up: read its log.
    #[error("the AWS emulator {what}; its log is {}:\n{tail}", log_file.display())]
    Start {
        /// What it did instead of answering.
        what: String,
        /// Where its whole log is.
        log_file: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The machine refused something that the emulator needs: the message says what.
    #[error("cannot {action}")]
    Machine {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// An emulator that is installed and can be started.
#[derive(Debug, Clone)]
pub struct Installation {
    python: PathBuf,
}

impl Installation {
    /// Finds the emulator in `directory`, a virtual environment, or installs it there after telling
    /// `say` what will be installed. Later calls find it at once, until its pinned versions change.
    /// Processes that call this at the same time wait for each other.
    ///
    /// # Errors
    /// See [`EmulatorError`]; a failed installation is begun anew by the next call.
    pub async fn ensure(
        directory: &Path,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, EmulatorError> {
        let directory = std::path::absolute(directory).map_err(machine("find", directory))?;
        let marker = directory.join("installed-requirements.txt");
        let installation = Self {
            python: directory.join("bin/python"),
        };
        if is_installed(&marker) {
            return Ok(installation);
        }
        let _lock = lock(&directory.with_extension("lock")).await?;
        if is_installed(&marker) {
            return Ok(installation);
        }
        ensure_python(say).await?;
        say(&format!(
            "Installing the AWS emulator (ministack, Python packages) into {}",
            directory.display()
        ));
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(machine("remove", &directory))?;
        }
        complete(Command::new("python3").args(["-m", "venv"]).arg(&directory)).await?;
        let requirements = directory.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS).map_err(machine("write", &requirements))?;
        complete(
            Command::new(&installation.python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-input",
                ])
                .args([
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                    "--requirement",
                ])
                .arg(&requirements),
        )
        .await?;
        // The marker comes last: what has it is complete.
        fs::rename(&requirements, &marker).map_err(machine("write", &marker))?;
        Ok(installation)
    }
}

/// How to start the emulator.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// Where the emulator keeps its state from one start to the next; `None` forgets everything at the end.
    /// It is written when the emulator stops, so a machine that loses power loses what came after the start.
    pub data_dir: Option<PathBuf>,
    /// Where the emulator's output goes; it is overwritten.
    pub log_file: PathBuf,
}

/// A running emulator. Dropping it ends it too, but only [`Emulator::stop`] waits until its state is saved.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    /// While this is open, the emulator runs.
    pipe: Option<ChildStdin>,
    endpoint_url: String,
}

impl Emulator {
    /// Starts the emulator on a free loopback port, and waits until it answers.
    ///
    /// # Errors
    /// [`EmulatorError::Start`] when it ends or does not answer in time, [`EmulatorError::Machine`] when a file
    /// or a process can't be made.
    pub async fn start(
        installation: &Installation,
        options: &StartOptions,
    ) -> Result<Self, EmulatorError> {
        let mut attempt = 1;
        loop {
            match Self::start_once(installation, options).await {
                Err(EmulatorError::Start { tail, .. })
                    if tail.contains("already in use") && attempt < START_ATTEMPTS =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Where the emulator answers, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// The process id of the emulator, which leads a process group of its own; `None` when it has ended.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the emulator ends by itself, which it should not.
    ///
    /// # Errors
    /// When the operating system can't tell.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the emulator to save its state and end, and waits for it; after twelve seconds it is killed.
    ///
    /// # Errors
    /// When the operating system can't tell whether it has ended.
    pub async fn stop(mut self) -> io::Result<()> {
        drop(self.pipe.take());
        if let Ok(status) = timeout(STOP_DEADLINE, self.child.wait()).await {
            return status.map(drop);
        }
        tracing::warn!(
            "the AWS emulator did not stop in time and is killed; its last changes are not saved"
        );
        self.kill().await
    }

    async fn start_once(
        installation: &Installation,
        options: &StartOptions,
    ) -> Result<Self, EmulatorError> {
        let log_file = &options.log_file;
        let port = choose_port(options.data_dir.as_deref())
            .await
            .map_err(|source| EmulatorError::Machine {
                action: "find a free port".into(),
                source,
            })?;
        let endpoint_url = format!("http://127.0.0.1:{port}");
        // Tells this emulator from whatever else might answer on the port, also from another one of this process.
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("legwork-{}-{start}", std::process::id());
        let log = File::create(log_file).map_err(machine("write", log_file))?;
        let errors = log.try_clone().map_err(machine("write", log_file))?;

        let mut command = Command::new(&installation.python);
        command
            .args(["-I", "-c", LAUNCHER])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_EDITION", &name)
            .env("LOG_LEVEL", "WARNING")
            // Functions on the emulator find their way back to it.
            .env("AWS_ENDPOINT_URL", &endpoint_url)
            // These listen on ports of their own.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        if let Some(data_dir) = &options.data_dir {
            let data_dir = std::path::absolute(data_dir).map_err(machine("find", data_dir))?;
            fs::create_dir_all(&data_dir).map_err(machine("create", &data_dir))?;
            let port_file = data_dir.join(PORT_FILE);
            fs::write(&port_file, port.to_string()).map_err(machine("write", &port_file))?;
            command
                .env("PERSIST_STATE", "1")
                .env("STATE_DIR", data_dir.join("state"))
                .env("S3_PERSIST", "1")
                .env("S3_DATA_DIR", data_dir.join("s3"));
        }
        let mut child = command
            .spawn()
            .map_err(machine("start", &installation.python))?;
        // Taken out, because waiting for a child closes the pipe that it holds.
        let pipe = child.stdin.take();
        let mut emulator = Self {
            child,
            pipe,
            endpoint_url,
        };

        let failure = match timeout(START_DEADLINE, emulator.become_healthy(port, &name)).await {
            Ok(Ok(())) => return Ok(emulator),
            Ok(Err(failure)) => failure,
            Err(_) => format!("did not answer within {} s", START_DEADLINE.as_secs()),
        };
        emulator
            .kill()
            .await
            .map_err(machine("end", &installation.python))?;
        Err(EmulatorError::Start {
            what: failure,
            log_file: log_file.clone(),
            tail: tail(log_file),
        })
    }

    async fn become_healthy(&mut self, port: u16, name: &str) -> Result<(), String> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("ended with {status} while it was starting"));
            }
            if health(port).await.is_ok_and(|answer| answer.contains(name)) {
                tracing::debug!(
                    elapsed_ms = began.elapsed().as_millis(),
                    "the AWS emulator is up"
                );
                return Ok(());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Ends the emulator and whatever it started, at once.
    async fn kill(&mut self) -> io::Result<()> {
        let group = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
        }
        self.child.wait().await.map(drop)
    }
}

/// Whether exactly the pinned packages are installed.
fn is_installed(marker: &Path) -> bool {
    fs::read_to_string(marker).is_ok_and(|installed| installed == REQUIREMENTS)
}

/// Waits for the lock that a file stands for, and holds it until the file is dropped.
async fn lock(path: &Path) -> Result<File, EmulatorError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(machine("create", parent))?;
    }
    let file = File::create(path).map_err(machine("write", path))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(machine("lock", path))
}

/// Finds a Python that can make virtual environments, or installs what it lacks where that is possible.
async fn ensure_python(say: &mut (dyn FnMut(&str) + Send)) -> Result<(), EmulatorError> {
    if has_python().await {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(EmulatorError::PythonMissing);
    }
    say(&format!(
        "Installing {PYTHON_PACKAGE} (Debian package), which the AWS emulator needs"
    ));
    let install = || {
        let mut command = Command::new("apt-get");
        command.args([
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            PYTHON_PACKAGE,
        ]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // The package lists may be missing or old.
    if complete(&mut install()).await.is_err() {
        complete(Command::new("apt-get").args(["update", "-q"])).await?;
        complete(&mut install()).await?;
    }
    if has_python().await {
        Ok(())
    } else {
        Err(EmulatorError::PythonMissing)
    }
}

async fn has_python() -> bool {
    let mut check = Command::new("python3");
    check
        .args(["-c", PYTHON_CHECK])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    check.status().await.is_ok_and(|status| status.success())
}

/// Runs a command to its end; what it wrote is shown only when it fails.
async fn complete(command: &mut Command) -> Result<(), EmulatorError> {
    let text = format!("{:?}", command.as_std()).replace('"', "");
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| EmulatorError::Machine {
            action: format!("run `{text}`"),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let mut written = String::from_utf8_lossy(&output.stdout).into_owned();
    written.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(EmulatorError::Installation {
        command: text,
        status: output.status,
        output: last_lines(&written),
    })
}

/// The port that kept data was served on before, since the URLs of its queues contain it, or else any free one.
async fn choose_port(data_dir: Option<&Path>) -> io::Result<u16> {
    let earlier: Option<u16> = data_dir.and_then(|data_dir| {
        fs::read_to_string(data_dir.join(PORT_FILE))
            .ok()?
            .parse()
            .ok()
    });
    if let Some(port) = earlier {
        // Whoever has it may be on the way out: a connection, or the emulator of a stack that was killed.
        let began = Instant::now();
        let bind = || TcpListener::bind(("127.0.0.1", port));
        let in_use = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let mut bound = bind();
        if bound.as_ref().is_err_and(in_use) {
            tracing::info!(
                port,
                "waiting for the port that the kept data was served on"
            );
        }
        while bound.as_ref().is_err_and(in_use) && began.elapsed() < STOP_DEADLINE {
            sleep(LOOK_INTERVAL).await;
            bound = bind();
        }
        let Err(error) = bound else {
            return Ok(port);
        };
        tracing::warn!(
            port,
            %error,
            "the port that the kept data was served on can't be had; the URLs of its queues do not hold any more"
        );
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.local_addr().map(|address| address.port())
}

/// What the emulator answers when it is asked for its health.
async fn health(port: u16) -> io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let request =
        format!("GET {HEALTH_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn tail(file: &Path) -> String {
    last_lines(&fs::read_to_string(file).unwrap_or_default())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn machine(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> EmulatorError {
    let action = format!("{verb} {}", path.display());
    move |source| EmulatorError::Machine { action, source }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The installation of this checkout, which the first test to come makes.
    async fn installation() -> Installation {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.legwork/emulator");
        Installation::ensure(&directory, &mut |_| ())
            .await
            .expect("the emulator can be installed")
    }

    async fn start(directory: &Path, data_dir: Option<PathBuf>) -> Emulator {
        let options = StartOptions {
            data_dir,
            log_file: directory.join("emulator.log"),
        };
        Emulator::start(&installation().await, &options)
            .await
            .expect("the emulator starts")
    }

    fn port(emulator: &Emulator) -> u16 {
        let (_, port) = emulator
            .endpoint_url()
            .rsplit_once(':')
            .expect("a URL with a port");
        port.parse().expect("a port")
    }

    /// Sends one request as the AWS command line would, unsigned: the emulator does not check signatures.
    async fn request(port: u16, method: &str, path: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("the emulator listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        connection
            .write_all(request.as_bytes())
            .await
            .expect("the emulator reads");
        let mut answer = String::new();
        connection
            .read_to_string(&mut answer)
            .await
            .expect("the emulator answers");
        answer
    }

    #[tokio::test]
    async fn an_installed_emulator_is_found_without_saying_or_doing_anything() {
        installation().await;
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.legwork/emulator");
        let said = Mutex::new(Vec::new());
        Installation::ensure(&directory, &mut |line| {
            said.lock().expect("one thread").push(line.to_owned())
        })
        .await
        .expect("it is installed");
        assert_eq!(said.into_inner().expect("one thread"), Vec::<String>::new());
    }

    #[tokio::test]
    async fn it_listens_on_loopback_only_and_stops_when_asked() {
        let directory = tempfile::tempdir().expect("a directory");
        let emulator = start(directory.path(), None).await;
        let (port, process) = (port(&emulator), emulator.process_id().expect("it runs"));
        let listening = listening_addresses(process);
        assert_eq!(
            listening,
            [format!("0100007F:{port:04X}")],
            "loopback, and its one port"
        );
        emulator.stop().await.expect("it stops");
        assert!(
            !Path::new(&format!("/proc/{process}")).exists(),
            "the process is gone, and what it listened on with it"
        );
    }

    /// The addresses on which a process listens, as the kernel writes them.
    fn listening_addresses(process: u32) -> Vec<String> {
        let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
            .expect("the process exists")
            .filter_map(|entry| {
                fs::read_link(entry.ok()?.path())
                    .ok()?
                    .to_str()
                    .map(str::to_owned)
            })
            .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        ["tcp", "tcp6"]
            .iter()
            .flat_map(|table| {
                let text =
                    fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
                text.lines()
                    .map(|line| line.split_whitespace().map(str::to_owned).collect())
                    .collect::<Vec<Vec<_>>>()
            })
            .filter(|fields| fields.len() > 9 && fields[3] == "0A" && sockets.contains(&fields[9]))
            .map(|fields| fields[1].clone())
            .collect()
    }

    #[tokio::test]
    async fn the_port_of_kept_data_is_waited_for_while_somebody_else_has_it() {
        let data_dir = tempfile::tempdir().expect("a directory");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        fs::write(data_dir.path().join(PORT_FILE), port.to_string()).expect("it is written");
        // It is looked for first, and let go after that.
        let let_go = async { drop(taken) };
        let (chosen, ()) = tokio::join!(choose_port(Some(data_dir.path())), let_go);
        assert_eq!(chosen.expect("a port"), port);
    }

    #[tokio::test]
    async fn kept_data_is_there_after_a_restart_at_the_same_address() {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = Some(directory.path().join("data"));
        let first = start(directory.path(), data_dir.clone()).await;
        let address = first.endpoint_url().to_owned();
        let answer = request(port(&first), "PUT", "/kept-bucket").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        first.stop().await.expect("it stops");

        let second = start(directory.path(), data_dir).await;
        assert_eq!(second.endpoint_url(), address);
        let buckets = request(port(&second), "GET", "/").await;
        assert!(buckets.contains("kept-bucket"), "{buckets}");
        second.stop().await.expect("it stops");
    }

    #[tokio::test]
    async fn it_ends_by_itself_when_its_pipe_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut emulator = start(directory.path(), None).await;
        // What the kernel does to a stack that is killed.
        drop(emulator.pipe.take());
        let ended = timeout(STOP_DEADLINE, emulator.ended()).await;
        ended
            .expect("it ends in time")
            .expect("its status is known");
    }

    #[tokio::test]
    async fn an_emulator_that_does_not_come_up_says_so_with_its_log() {
        let directory = tempfile::tempdir().expect("a directory");
        // It is no Python: it does not know the options.
        let installation = Installation {
            python: "/bin/cat".into(),
        };
        let options = StartOptions {
            data_dir: None,
            log_file: directory.path().join("emulator.log"),
        };
        let error = Emulator::start(&installation, &options)
            .await
            .expect_err("it can't start");
        let text = error.to_string();
        assert!(text.contains("exit status: 1"), "{text}");
        assert!(text.contains("invalid option"), "its log is shown: {text}");
    }
}
