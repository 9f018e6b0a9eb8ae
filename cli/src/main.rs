//! `legwork`: the whole of it on one machine.

mod api_key;
mod client;
mod demo;
mod display;
mod excerpt;
mod import;
mod run;
mod up;
mod validate;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use localstack::{RunnerCommand, StackOptions};
use platform::configuration::{Environment, LogFormat, Logs};
use platform::shutdown::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Runs browser workflows for other programs.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the stack, runs the sample workflow through the real API, checks what came of it, stops the stack.
    ///
    /// Installs what is missing, after saying so.
    Demo,
    /// Starts the stack and leaves it running until Ctrl-C; .legwork/local.json says where everything is.
    ///
    /// Installs what is missing, after saying so.
    Up {
        /// How many runners to start.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        workers: u16,
        /// The API's port; 0 for any that is free.
        #[arg(long, default_value_t = 8700)]
        port: u16,
        /// Keeps the stack's data in a folder over restarts.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// How often the sweeper runs, in seconds; each minute on AWS.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
        sweep_every: u16,
    },
    /// Makes an API key in a deployment's table, such as its first one, and prints it, once.
    ///
    /// LEGWORK_TABLE names the table; credentials and region are found as the AWS command line finds them.
    ApiKey {
        /// The user whom what is created with the key is attributed to.
        #[arg(long)]
        user: String,
        /// The organization; a new one if it is left out.
        #[arg(long, value_name = "ID")]
        organization: Option<domain::OrganizationId>,
        /// What the key's holder may do: viewer, operator or admin.
        #[arg(long, default_value = "admin", value_parser = role)]
        role: store::Role,
        /// What the key is for.
        #[arg(long, default_value = "first key")]
        name: String,
    },
    /// Checks workflow definitions, and runs nothing.
    ///
    /// Exit code 0: all are right; 1: one is wrong; 2: one can't be read.
    Validate(validate::Arguments),
    /// Executes a workflow on this machine alone, without a stack; what it makes is put into a folder.
    ///
    /// Secrets come from a file, from the environment or from the prompt, never from the command line.
    /// Exit code 0: completed; 1: failed; 2: not run, because the workflow, its input or its secrets are wrong;
    /// 3: completed with no action taken; 130: cancelled by Ctrl-C or SIGTERM.
    Run(run::Arguments),
    /// Makes a workflow of a recording of the Chrome DevTools Recorder.
    Import(import::Arguments),
    /// A runner, as the stack starts it: stops on SIGTERM, and when its standard input ends.
    #[command(hide = true)]
    Runner,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut failure_code = ExitCode::FAILURE;
    let ended = match arguments.command {
        Command::Validate(arguments) => {
            failure_code = ExitCode::from(2);
            validate::main(&arguments)
        }
        Command::Import(arguments) => {
            failure_code = ExitCode::from(2);
            import::main(&arguments)
        }
        Command::Run(arguments) => {
            failure_code = ExitCode::from(2);
            run::main(&arguments).await
        }
        Command::Demo => demo::main().await,
        Command::Up {
            workers,
            port,
            data,
            sweep_every,
        } => up::main(workers, port, data, sweep_every).await,
        Command::ApiKey {
            user,
            organization,
            role,
            name,
        } => api_key::main(organization, role, user, name).await,
        Command::Runner => runner::main(parent_gone())
            .await
            .map(|()| ExitCode::SUCCESS),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            display::error(&error);
            failure_code
        }
    }
}

fn role(text: &str) -> Result<store::Role, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected viewer, operator or admin".to_owned())
}

/// A stack in the working directory, with this executable for its runners.
fn stack_options() -> anyhow::Result<StackOptions> {
    let runner = RunnerCommand {
        program: std::env::current_exe()?,
        arguments: vec!["runner".to_owned()],
    };
    Ok(StackOptions::new(std::env::current_dir()?, runner))
}

/// Logs for a person: only what somebody should look at, unless `LEGWORK_LOG` says otherwise.
fn quiet_logs() -> anyhow::Result<()> {
    let environment = Environment::from_process();
    let mut logs = Logs::read(&environment)?;
    if environment.get("LEGWORK_LOG").is_none() {
        "warn".clone_into(&mut logs.filter);
    }
    if environment.get("LEGWORK_LOG_FORMAT").is_none() {
        logs.format = LogFormat::Text;
    }
    platform::telemetry::init(&logs)?;
    Ok(())
}

/// The signals that end a command.
fn signals() -> anyhow::Result<Shutdown> {
    Ok(Shutdown::on_signals()?)
}

/// Ends when standard input does: whoever started this process holds the other end, and is gone then. A standard
/// input that is no pipe never ends.
async fn parent_gone() {
    let pipe = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .and_then(pipe::Receiver::from_owned_fd);
    let Ok(mut pipe) = pipe else {
        return std::future::pending().await;
    };
    let mut nothing = [0; 64];
    while !matches!(pipe.read(&mut nothing).await, Ok(0) | Err(_)) {}
}
