//! How a browser is started: where its executable is, and with which flags and environment.

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::Error;

/// The variable that names the executable.
const VARIABLE: &str = "LEGWORK_CHROMIUM";

/// Where Debian puts the headless shell itself; the wrapper on the PATH only adds time.
const WELL_KNOWN: [&str; 2] = [
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/headless_shell",
];

/// Names on the PATH.
const NAMES: [&str; 4] = [
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "google-chrome",
];

/// Debian's package.
pub(crate) const PACKAGE: &str = "chromium-headless-shell";

const INSTALL: &str = "apt-get install -y chromium-headless-shell";

/// How to start a browser. Its `Debug` leaves out the values of headers, which may be secrets.
#[derive(Clone)]
pub struct LaunchOptions {
    /// The executable, as [`find_executable`] finds it.
    pub executable: PathBuf,
    /// The folder in which the browser makes a folder of its own, with profile and downloads; that
    /// is removed on every way out. It must not be shared with other machines.
    pub scratch_dir: PathBuf,
    /// All of the browser's traffic, names unresolved, goes to this proxy, loopback included.
    pub socks_proxy: Option<SocketAddr>,
    /// Chromium's own sandbox.
    pub sandbox: Sandbox,
    /// Whether each site has processes of its own, so that a page that takes its process over
    /// can't look into another site's. Unless it is said, that goes with the sandbox, without which
    /// it is of little use; it costs a process more for each browser.
    pub isolates_sites: Option<bool>,
    /// Width and height of the page, in CSS pixels.
    pub viewport: (u32, u32),
    /// A BCP 47 language tag, such as `de-DE`.
    pub locale: Option<String>,
    /// An IANA time zone, such as `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// The user agent that the browser names itself.
    pub user_agent: Option<String>,
    /// Headers that are sent with every request.
    pub extra_headers: Vec<(String, String)>,
    /// A download that turns out to be larger is given up, and what came of it is removed.
    pub max_download_bytes: u64,
    /// The same for all downloads of the browser together, but for those that were discarded.
    pub max_total_download_bytes: u64,
}

impl LaunchOptions {
    /// A plain browser with a page of 1280 by 800.
    pub fn new(executable: impl Into<PathBuf>, scratch_dir: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            scratch_dir: scratch_dir.into(),
            socks_proxy: None,
            sandbox: Sandbox::Auto,
            isolates_sites: None,
            viewport: (1280, 800),
            locale: None,
            time_zone: None,
            user_agent: None,
            extra_headers: Vec::new(),
            max_download_bytes: 1024 * 1024 * 1024,
            max_total_download_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

impl fmt::Debug for LaunchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .extra_headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("LaunchOptions")
            .field("executable", &self.executable)
            .field("scratch_dir", &self.scratch_dir)
            .field("socks_proxy", &self.socks_proxy)
            .field("sandbox", &self.sandbox)
            .field("isolates_sites", &self.isolates_sites)
            .field("viewport", &self.viewport)
            .field("locale", &self.locale)
            .field("time_zone", &self.time_zone)
            .field("user_agent", &self.user_agent)
            .field("extra_headers", &names)
            .field("max_download_bytes", &self.max_download_bytes)
            .field("max_total_download_bytes", &self.max_total_download_bytes)
            .finish()
    }
}

/// Whether Chromium's own sandbox is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// On, except for root, with which it can't be: then off, with a warning.
    Auto,
    /// On.
    On,
    /// Off: something around the browser must be the sandbox.
    Off,
}

/// Whether somebody has said which executable to use: then no other will do.
#[expect(
    clippy::disallowed_methods,
    reason = "this package stands alone: where the browser is, is a fact of the machine"
)]
pub(crate) fn is_named() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Finds the browser: `LEGWORK_CHROMIUM`, the well-known places, the PATH.
///
/// # Errors
///
/// [`Error::NoExecutable`] names what was looked for and the command that installs it.
#[expect(
    clippy::disallowed_methods,
    reason = "this package stands alone: where the browser is, is a fact of the machine"
)]
pub fn find_executable() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        return Err(Error::NoExecutable {
            looked_for: vec![format!("{} (from {VARIABLE})", named.display())],
            install: INSTALL.to_owned(),
        });
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path =
        env::split_paths(&path).flat_map(|folder| NAMES.iter().map(move |name| folder.join(name)));
    let found = WELL_KNOWN
        .iter()
        .map(PathBuf::from)
        .chain(on_path)
        .find(|candidate| candidate.is_file());
    found.ok_or_else(|| Error::NoExecutable {
        looked_for: WELL_KNOWN
            .iter()
            .map(|place| (*place).to_owned())
            .chain(NAMES.iter().map(|name| format!("{name} on the PATH")))
            .chain([format!("the variable {VARIABLE}")])
            .collect(),
        install: INSTALL.to_owned(),
    })
}

/// The command line.
pub(crate) fn arguments(options: &LaunchOptions, folder: &Path) -> Vec<String> {
    let (width, height) = options.viewport;
    let mut arguments: Vec<String> = [
        "--remote-debugging-pipe",
        "--disable-background-networking",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-breakpad",
        "--disable-client-side-phishing-detection",
        "--disable-component-update",
        "--disable-crash-reporter",
        "--disable-default-apps",
        "--disable-dev-shm-usage",
        "--disable-domain-reliability",
        "--disable-extensions",
        // It drops a click on the same link soon after another: a workflow means each of its clicks.
        "--disable-features=IgnoreDuplicateNavs",
        "--disable-gpu",
        "--disable-hang-monitor",
        "--disable-popup-blocking",
        "--disable-quic",
        "--disable-renderer-backgrounding",
        "--disable-sync",
        "--enable-automation",
        "--force-color-profile=srgb",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--headless",
        "--hide-scrollbars",
        "--metrics-recording-only",
        "--mute-audio",
        "--no-default-browser-check",
        "--no-first-run",
        "--no-service-autorun",
        "--password-store=basic",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--window-size={width},{height}"));
    arguments.push(format!(
        "--user-data-dir={}",
        folder.join("profile").display()
    ));
    if let Some(proxy) = options.socks_proxy {
        arguments.push(format!("--proxy-server=socks5://{proxy}"));
        arguments.push("--proxy-bypass-list=<-loopback>".to_owned());
        // Without it, Chromium's own resolver is asked for the site's names beside the proxy.
        arguments.push(format!(
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {}",
            proxy.ip()
        ));
    }
    if let Some(locale) = &options.locale {
        arguments.push(format!("--lang={locale}"));
        arguments.push(format!("--accept-lang={locale}"));
    }
    if let Some(user_agent) = &options.user_agent {
        arguments.push(format!("--user-agent={user_agent}"));
    }
    let is_sandboxed = is_sandboxed(options.sandbox);
    if !is_sandboxed {
        arguments.push("--no-sandbox".to_owned());
    }
    // A headless shell does not do it by itself.
    if options.isolates_sites.unwrap_or(is_sandboxed) {
        arguments.push("--site-per-process".to_owned());
    }
    arguments.push("about:blank".to_owned());
    arguments
}

/// The whole environment: nothing of the parent's gets in but the PATH.
#[expect(
    clippy::disallowed_methods,
    reason = "the PATH is handed on as it is, not read as a setting"
)]
pub(crate) fn environment(options: &LaunchOptions, folder: &Path) -> Vec<(&'static str, String)> {
    let place = |name: &str| folder.join(name).display().to_string();
    let mut environment = vec![
        ("HOME", place("home")),
        ("TMPDIR", place("tmp")),
        ("LANG", "C.UTF-8".to_owned()),
        (
            "TZ",
            options
                .time_zone
                .clone()
                .unwrap_or_else(|| "UTC".to_owned()),
        ),
    ];
    if let Ok(path) = env::var("PATH") {
        environment.push(("PATH", path));
    }
    environment
}

fn is_sandboxed(sandbox: Sandbox) -> bool {
    match sandbox {
        Sandbox::On => true,
        Sandbox::Off => false,
        Sandbox::Auto => {
            let is_root = rustix::process::geteuid().is_root();
            if is_root {
                static WARNED: Once = Once::new();
                WARNED.call_once(|| {
                    tracing::warn!("Browsers run without their sandbox, because this is root");
                });
            }
            !is_root
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_written_for_debugging_hide_the_values_of_headers() {
        let mut options = LaunchOptions::new("chromium", "scratch");
        options.extra_headers = vec![("Authorization".to_owned(), "canary".to_owned())];
        let written = format!("{options:?}");
        assert!(written.contains("Authorization") && !written.contains("canary"));
        // Other users of the machine can read a command line.
        let arguments = arguments(&options, Path::new("folder")).join(" ");
        assert!(!arguments.contains("canary"));
    }

    #[test]
    fn sites_are_kept_apart_where_there_is_a_sandbox_or_somebody_asks_for_it() {
        let isolates = |sandbox, isolates_sites| {
            let options = LaunchOptions {
                sandbox,
                isolates_sites,
                ..LaunchOptions::new("chromium", "scratch")
            };
            let arguments = arguments(&options, Path::new("folder"));
            let no_sandbox = arguments.contains(&"--no-sandbox".to_owned());
            assert_eq!(no_sandbox, sandbox == Sandbox::Off);
            arguments.contains(&"--site-per-process".to_owned())
        };
        assert!(isolates(Sandbox::On, None));
        assert!(!isolates(Sandbox::Off, None));
        assert!(isolates(Sandbox::Off, Some(true)));
        assert!(!isolates(Sandbox::On, Some(false)));
    }
}
