//! The engine as its users see it: over a browser that follows a script, and over a real one.

mod files;
mod guide;
mod interpreter;
mod pages;
mod practice;
mod scripted;
mod secrets;
mod tabs;
mod verbs;
