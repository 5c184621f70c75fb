//! One file for each subcommand.

pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod finetune;
pub(crate) mod inspect;
pub(crate) mod predict;
pub(crate) mod quantize;
pub(crate) mod verify;
