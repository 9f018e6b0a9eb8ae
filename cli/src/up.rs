//! `legwork up`: the stack until Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use localstack::{LocalFile, Stack};

use crate::{display, quiet_logs, signals, stack_options};

/// Runs the stack until it is told to stop.
pub(crate) async fn main(
    workers: u16,
    port: u16,
    data: Option<PathBuf>,
    sweep_every: u16,
) -> anyhow::Result<ExitCode> {
    quiet_logs()?;
    let signals = signals()?;
    let stop = signals.token();
    let mut options = stack_options()?;
    options.workers = workers.into();
    options.port = port;
    options.data_dir = data;
    options.sweep_every = Duration::from_secs(sweep_every.into());
    let path = LocalFile::path(&options.project_dir);

    let began = Instant::now();
    let mut say = |text: &str| display::line(text);
    let mut stack = tokio::select! {
        started = Stack::start(options, &mut say) => started?,
        () = stop.cancelled() => return Ok(ExitCode::from(130)),
    };
    let local = stack.local();
    display::line(&format!(
        "Legwork is ready after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    display::line(&format!("  API               {}", local.api_url));
    display::line(&format!("  API key           {}", local.api_key));
    display::line(&format!("  practice site     {}", local.practice_site_url));
    display::line(&format!(
        "  webhook receiver  {}/received",
        local.webhook_receiver_url
    ));
    display::line(&format!("  AWS emulator      {}", local.aws_endpoint_url));
    display::line(&format!("  everything        {}", path.display()));
    display::line("Ctrl-C stops it");

    let watched = stack.watch(&stop).await;
    display::line("Stopping");
    stack.stop().await;
    watched?;
    Ok(ExitCode::SUCCESS)
}
