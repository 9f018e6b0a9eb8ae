//! A client for Chromium over the DevTools protocol: processes, pages, locators, acting, waiting.
//!
//! It speaks to the browser through a pipe, never through an open port, and waits inside the page
//! (observers, animation frames) rather than by asking again and again over the wire. It knows
//! nothing of runs, workflows or AWS, and it never logs what is typed into a page.
//!
//! [`Browser::launch`] starts one browser with its own process group and folder; [`Browser::page`]
//! gives its page; everything else is a method of [`Page`].

mod action;
mod capture;
mod choice;
mod condition;
mod connection;
mod deadline;
mod download;
mod error;
mod frame;
mod install;
mod keyboard;
mod launch;
mod leftovers;
mod locator;
mod navigation;
mod page;
mod proc;
mod process;
mod read;
mod target;
mod wait;

pub use capture::Screenshot;
pub use condition::Condition;
pub use download::{Download, DownloadWaiter};
pub use error::Error;
pub use install::find_or_install;
pub use launch::{LaunchOptions, Sandbox, find_executable};
pub use leftovers::remove_leftovers;
pub use locator::{By, Locator};
pub use page::Page;
pub use process::Browser;
pub use read::{Field, Read};
