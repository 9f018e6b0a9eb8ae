//! How a runner works: its browser, its slots, its lease.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{Environment, SettingError};

/// Settings of the runner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Runner {
    /// `LEGWORK_CHROMIUM`: the browser's executable; when it is not set, the runner looks where
    /// packages put it.
    pub chromium: Option<PathBuf>,
    /// `LEGWORK_RUNNER_SLOTS`: how many runs it executes at a time. Default 2.
    pub slots: u32,
    /// `LEGWORK_RUNNER_WAITING_SLOTS`: how many more runs it holds that wait for a person.
    /// Default 8.
    pub waiting_slots: u32,
    /// `LEGWORK_BROWSER_POOL`: how many browsers it keeps started ahead. Default 1.
    pub browser_pool: u32,
    /// `LEGWORK_BROWSER_SANDBOX`: `auto` (on, but for root, with which it can't be) or `off`, where
    /// something around the browser is its sandbox, such as a task that serves one organization.
    /// Default `auto`.
    pub sandbox_is_off: bool,
    /// `LEGWORK_SCRATCH_DIR`: where browsers keep profiles and downloads while they run. Default
    /// `legwork` in the system's temporary folder.
    pub scratch_dir: PathBuf,
    /// `LEGWORK_LEASE_SECONDS`: how long a claimed run stays claimed without a heartbeat.
    /// Default 30.
    pub lease: Duration,
    /// `LEGWORK_HEARTBEAT_SECONDS`: how often a lease is renewed, at least twice during a lease.
    /// Default 10.
    pub heartbeat: Duration,
    /// `LEGWORK_STOP_TIMEOUT_SECONDS`: how long runs may go on after the wish to stop, before they
    /// are given back. Default 110: Fargate kills after 120 at most.
    pub stop_timeout: Duration,
    /// `LEGWORK_RUNNER_DRAIN_AFTER_SECONDS`: after how long it takes no more runs, ends those that it
    /// has, and stops, so that whoever keeps it running replaces it. Default 0: never.
    pub drain_after: Option<Duration>,
    /// `ECS_AGENT_URI`, which ECS sets: where a task says that it must not be stopped now.
    pub ecs_agent: Option<Url>,
}

const HEARTBEAT_SECONDS: &str = "LEGWORK_HEARTBEAT_SECONDS";
const SANDBOX: &str = "LEGWORK_BROWSER_SANDBOX";

impl Runner {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a variable holds something else than it should, or the heartbeat is too slow for the
    /// lease.
    pub fn read(environment: &Environment) -> Result<Self, SettingError> {
        let path = |name| environment.get(name).map(PathBuf::from);
        let number = |name, bounds, default| environment.number(name, bounds, default);
        let seconds = |number: u32| Duration::from_secs(number.into());

        let lease_seconds = number("LEGWORK_LEASE_SECONDS", 2..=3600, 30)?;
        let heartbeat_seconds = number(HEARTBEAT_SECONDS, 1..=1800, 10)?;
        if heartbeat_seconds > lease_seconds / 2 {
            return Err(SettingError::Invalid {
                name: HEARTBEAT_SECONDS,
                found: heartbeat_seconds.to_string(),
                expected: format!(
                    "at most half of LEGWORK_LEASE_SECONDS, which is {lease_seconds}"
                ),
            });
        }
        Ok(Self {
            chromium: path("LEGWORK_CHROMIUM"),
            slots: number("LEGWORK_RUNNER_SLOTS", 1..=64, 2)?,
            waiting_slots: number("LEGWORK_RUNNER_WAITING_SLOTS", 0..=256, 8)?,
            browser_pool: number("LEGWORK_BROWSER_POOL", 0..=64, 1)?,
            sandbox_is_off: environment
                .parse(SANDBOX, "auto or off (default auto)", |text| match text {
                    "auto" => Some(false),
                    "off" => Some(true),
                    _ => None,
                })?
                .unwrap_or_default(),
            scratch_dir: path("LEGWORK_SCRATCH_DIR").unwrap_or_else(|| {
                let temporary = environment.get("TMPDIR").unwrap_or("/tmp");
                PathBuf::from(temporary).join("legwork")
            }),
            lease: seconds(lease_seconds),
            heartbeat: seconds(heartbeat_seconds),
            stop_timeout: seconds(number("LEGWORK_STOP_TIMEOUT_SECONDS", 0..=3600, 110)?),
            drain_after: match number("LEGWORK_RUNNER_DRAIN_AFTER_SECONDS", 0..=604_800, 0)? {
                0 => None,
                after => Some(seconds(after)),
            },
            ecs_agent: environment.parse("ECS_AGENT_URI", "a URL", |text| Url::parse(text).ok())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let runner = Runner::read(&Environment::default()).expect("defaults");
        assert_eq!(
            runner,
            Runner {
                chromium: None,
                slots: 2,
                waiting_slots: 8,
                browser_pool: 1,
                sandbox_is_off: false,
                scratch_dir: PathBuf::from("/tmp/legwork"),
                lease: Duration::from_secs(30),
                heartbeat: Duration::from_secs(10),
                stop_timeout: Duration::from_secs(110),
                drain_after: None,
                ecs_agent: None,
            }
        );
    }

    #[test]
    fn each_setting_is_read_from_its_own_variable() {
        let runner = Runner::read(&Environment::from_iter([
            ("LEGWORK_CHROMIUM", "/opt/chromium"),
            ("LEGWORK_RUNNER_SLOTS", "3"),
            ("LEGWORK_RUNNER_WAITING_SLOTS", "4"),
            ("LEGWORK_BROWSER_POOL", "5"),
            (SANDBOX, "off"),
            ("LEGWORK_SCRATCH_DIR", "/scratch"),
            ("LEGWORK_LEASE_SECONDS", "6"),
            ("LEGWORK_HEARTBEAT_SECONDS", "2"),
            ("LEGWORK_STOP_TIMEOUT_SECONDS", "7"),
            ("LEGWORK_RUNNER_DRAIN_AFTER_SECONDS", "8"),
            ("ECS_AGENT_URI", "http://169.254.170.2/api/task"),
        ]))
        .expect("all of it is right");
        assert_eq!(
            runner,
            Runner {
                chromium: Some(PathBuf::from("/opt/chromium")),
                slots: 3,
                waiting_slots: 4,
                browser_pool: 5,
                sandbox_is_off: true,
                scratch_dir: PathBuf::from("/scratch"),
                lease: Duration::from_secs(6),
                heartbeat: Duration::from_secs(2),
                stop_timeout: Duration::from_secs(7),
                drain_after: Some(Duration::from_secs(8)),
                ecs_agent: Url::parse("http://169.254.170.2/api/task").ok(),
            }
        );
    }

    #[test]
    fn a_heartbeat_that_fits_less_than_twice_into_the_lease_is_refused() {
        let read = |heartbeat: &str| {
            Runner::read(&Environment::from_iter([
                ("LEGWORK_LEASE_SECONDS", "6"),
                (HEARTBEAT_SECONDS, heartbeat),
            ]))
        };
        assert!(read("3").is_ok());
        assert_eq!(
            read("4").expect_err("too slow").to_string(),
            r#"LEGWORK_HEARTBEAT_SECONDS is "4"; expected at most half of LEGWORK_LEASE_SECONDS, which is 6"#
        );
    }

    #[test]
    fn the_sandbox_is_not_switched_off_by_mistake() {
        let read = |value: &str| Runner::read(&Environment::from_iter([(SANDBOX, value)]));
        assert_eq!(read("auto").map(|runner| runner.sandbox_is_off), Ok(false));
        assert_eq!(
            read("on").expect_err("no such word").to_string(),
            r#"LEGWORK_BROWSER_SANDBOX is "on"; expected auto or off (default auto)"#
        );
    }
}
