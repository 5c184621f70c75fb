//! `rtune doctor`: flags, printing.

use crate::console::result;
use crate::exit::INPUT;
use crate::flags::Common;
use crate::machine::MachineReport;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Report on this machine: runtime library, processor features, CUDA
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    common: Common,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let report = MachineReport::new(self.common.threads());
        result(self.common.json, &report, || report.to_string())?;
        Ok(match report.runtime.problem {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::from(INPUT),
        })
    }
}
