//! `--spot`: the machine's end is a request to stop.

use crate::exit::usage;
use crate::interrupt::INTERRUPT;
use anyhow::Result;
use clap::{Args, ValueEnum};
use rtune_spot::{Client, Endpoint, Notice, Watch, is_amazon};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// Flags of machines that may be taken back.
#[derive(Debug, Args)]
pub(crate) struct SpotFlags {
    /// Stop with a checkpoint and exit code 75 when AWS announces the end of this spot instance;
    /// auto: if the firmware says that this is an EC2 instance
    #[arg(long, default_value = "auto")]
    spot: SpotFlag,
    /// Address of the instance metadata service that is asked [default: http://169.254.169.254]
    #[arg(long, value_name = "URL")]
    spot_endpoint: Option<Endpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SpotFlag {
    Auto,
    Aws,
    Off,
}

/// A thread that waits for notices, until it is dropped, and its messages.
pub(crate) struct Spot {
    watch: Watch,
    messages: Receiver<String>,
}

impl Spot {
    /// The messages since the last call.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.try_iter().collect()
    }

    /// Ends the thread, which has asked once at least, and returns the last messages.
    pub(crate) fn finish(self) -> Vec<String> {
        drop(self.watch);
        self.messages.try_iter().collect()
    }
}

impl SpotFlags {
    /// Starts to wait for notices, if the flags and the machine ask for it.
    ///
    /// # Errors
    /// With `aws`, if the metadata service does not answer as one of AWS.
    pub(crate) fn watch(&self) -> Result<Option<Spot>> {
        let mut client = Client::new(self.spot_endpoint.unwrap_or_default());
        let is_wanted = match self.spot {
            SpotFlag::Off => false,
            SpotFlag::Auto => self.spot_endpoint.is_some() || is_amazon(Path::new("/sys")),
            SpotFlag::Aws => {
                let asked = client.life_cycle();
                asked.map_err(|error| {
                    usage(format!(
                        "--spot aws: {error}; with --spot auto the run goes on without notices"
                    ))
                })?;
                true
            }
        };
        if !is_wanted {
            return Ok(None);
        }
        let (sender, messages) = channel();
        let says_all = self.spot == SpotFlag::Aws;
        let watch = Watch::start(client, Watch::INTERVAL, move |notice| {
            if let Some(message) = respond(&notice, says_all) {
                // The receiver is gone at the end of the run.
                let _ = sender.send(message);
            }
        })?;
        Ok(Some(Spot { watch, messages }))
    }
}

/// Does what a notice asks for and returns its message.
fn respond(notice: &Notice, says_all: bool) -> Option<String> {
    Some(match notice {
        Notice::Interruption(interruption) => {
            INTERRUPT.request();
            let action = match interruption.action.as_str() {
                action @ ("terminate" | "stop" | "hibernate") => action,
                _ => "take back",
            };
            let time = interruption.time.escape_debug();
            format!("AWS will {action} this spot instance at {time}, so the run stops")
        }
        Notice::Rebalance { time } => {
            INTERRUPT.request_save();
            format!(
                "note: since {} AWS advises to leave this spot instance; the run goes on, with a \
                 checkpoint now",
                time.escape_debug()
            )
        }
        Notice::NotSpot { life_cycle } if says_all => {
            format!("note: the life cycle of this machine is {life_cycle}: no spot notices come")
        }
        Notice::Failure(error) => format!("note: no spot notices: {error}; it is asked again"),
        _ => return None,
    })
}
