//! A client for Chromium over the DevTools protocol: processes, pages, locators, acting, waiting.
//!
//! It speaks to the browser through a pipe, never through an open port, and waits inside the page
//! (observers, animation frames) rather than by asking again and again over the wire. It knows
//! nothing of runs, workflows or AWS, and it never logs what is typed into a page.
//!
//! [`Browser::launch`] starts one browser with its own process group and folder; [`Browser::page`]
//! gives its page; everything else is a method of [`Page`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use browser::{Browser, Condition, Error, LaunchOptions, Locator, find_executable};
//!
//! async fn sign_in() -> Result<(), Error> {
//!     let timeout = Duration::from_secs(10);
//!     let browser = Browser::launch(&LaunchOptions::new(find_executable()?, "scratch")).await?;
//!     let page = browser.page().await?;
//!     page.goto("https://example.com/login", timeout).await?;
//!     page.fill(&Locator::label("Email"), "ada@example.com", timeout).await?;
//!     let button = Locator::role("button", "Sign in").within(Locator::css("form"));
//!     page.click(&button, timeout).await?;
//!     page.wait_for(&Condition::Visible(Locator::text("Welcome")), timeout).await?;
//!     browser.close().await;
//!     Ok(())
//! }
//! ```
//!
//! What an action starts is registered for before the action, so that it can't be missed:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use browser::{Error, Locator, Page, ResponsePattern, UrlPattern};
//! # async fn example(page: &Page, timeout: Duration) -> Result<(), Error> {
//! let saved = page.expect_response(ResponsePattern::from(UrlPattern::glob("*/api/save")))?;
//! let export = page.expect_download();
//! page.click(&Locator::role("button", "Save and export"), timeout).await?;
//! assert_eq!(saved.wait(timeout).await?.status, 200);
//! let file = export.wait(timeout).await?;
//! # drop(file);
//! # Ok(())
//! # }
//! ```

mod action;
mod capture;
mod choice;
mod condition;
mod connection;
mod cover;
mod deadline;
mod dialog;
mod download;
mod emulation;
mod error;
mod feed;
mod frame;
mod frames;
mod halves;
mod helper;
mod install;
mod keyboard;
mod launch;
mod leftovers;
mod locator;
mod mouse;
mod navigation;
mod origins;
mod page;
mod popup;
mod proc;
mod process;
mod read;
mod recording;
mod response;
mod script;
mod storage;
mod tabs;
mod target;
mod typing;
mod url_pattern;
mod wait;
mod words;

pub use capture::{PdfOptions, Screenshot};
pub use choice::Choice;
pub use condition::Condition;
pub use dialog::{Dialog, DialogAnswer, DialogKind, DialogPolicy};
pub use download::{Download, DownloadWaiter};
pub use emulation::{Geolocation, HttpCredentials, Viewport};
pub use error::Error;
pub use install::find_or_install;
pub use keyboard::{Modifier, is_key};
pub use launch::{LaunchOptions, Sandbox, find_executable};
pub use leftovers::remove_leftovers;
pub use locator::{By, Locator};
pub use mouse::{Click, MouseButton, ScrollTo};
pub use navigation::{Arrival, LoadState, Redirect};
pub use page::Page;
pub use popup::PageWaiter;
pub use process::Browser;
pub use read::{Field, Read, Rows};
pub use recording::{
    ConsoleMessage, Frame, PageError, Recorded, Recording, RecordingOptions, Redaction, Screencast,
    ScreencastOptions,
};
pub use response::{Response, ResponsePattern, ResponseWaiter};
pub use script::{Script, World};
pub use storage::{Cookie, OriginState, SameSite, StorageState, StoredItem};
pub use url_pattern::UrlPattern;
