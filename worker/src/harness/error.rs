//! A program could not be run at all.

use std::io;

use bus_schemas::v1::guest::RefusalCode;

use crate::port::{MachineError, is_disk_full};

/// The guest is at fault, not the program: it could not be started or watched.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub(crate) struct HarnessError {
    pub(crate) operation: &'static str,
    #[source]
    pub(crate) source: io::Error,
}

impl HarnessError {
    /// For `map_err`: names the operation.
    pub(crate) fn at(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, source }
    }

    /// The script harness was given something else.
    pub(crate) fn no_script() -> Self {
        Self { operation: "run the script", source: io::Error::new(io::ErrorKind::InvalidInput, "it is none") }
    }

    /// What to tell the host.
    pub(crate) fn code(&self) -> RefusalCode {
        if is_disk_full(&self.source) { RefusalCode::DiskFull } else { RefusalCode::GuestError }
    }
}

impl From<MachineError> for HarnessError {
    fn from(error: MachineError) -> Self {
        Self { operation: "make a cage", source: io::Error::new(error.source.kind(), error.to_string()) }
    }
}
