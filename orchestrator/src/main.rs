//! The `baton` program.

use std::{
    future::{self, Ready},
    process::ExitCode,
};

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
