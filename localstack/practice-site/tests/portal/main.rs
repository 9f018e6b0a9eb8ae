//! What the portal promises, tried over HTTP.

mod browser;
mod obstacles;
mod roster;
mod sign_in;
mod switches;
