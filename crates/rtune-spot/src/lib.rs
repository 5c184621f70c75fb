//! Notices that a rented machine will be taken back: those of spot instances of AWS.
//!
//! [`Client`] speaks the protocol of the instance metadata service, version 2, and [`Watch`] asks
//! it again and again in a thread:
//!
//! ```no_run
//! use rtune_spot::{Client, Endpoint, Notice, Watch};
//!
//! let client = Client::new(Endpoint::default());
//! let watch = Watch::start(client, Watch::INTERVAL, |notice| {
//!     if let Notice::Interruption(interruption) = notice {
//!         // Save everything: two minutes are left.
//!         let _ = interruption.time;
//!     }
//! });
//! # drop(watch);
//! ```
//!
//! # Design
//!
//! The service answers plain HTTP at a fixed address inside of the machine, so the crate has no
//! HTTP library: `http.rs` is the part of HTTP/1.1 that a short answer needs, with a limit of time
//! and of size for each exchange. An [`Endpoint`] is a number and no name, so that no name is
//! resolved. No proxy is asked.
//!
//! AWS describes the protocol in "Use the Instance Metadata Service to access instance metadata",
//! and the notices in "Spot Instance interruption notices" and "EC2 instance rebalance
//! recommendations", all in the EC2 User Guide. [`is_amazon`] tells from files of the system
//! whether there is such a service, so that a program needs to open no connection elsewhere.

mod client;
mod endpoint;
mod http;
mod machine;
mod watch;

pub use client::{Client, Interruption, SpotError};
pub use endpoint::Endpoint;
pub use machine::is_amazon;
pub use watch::{Notice, Watch};
