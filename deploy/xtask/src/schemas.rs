//! `cargo xtask schemas`: the published schemas follow the types. A test fails while they do not.

use anyhow::Result;

use crate::run::{cargo, timed};

/// Writes `docs/schemas/`.
pub fn write() -> Result<()> {
    timed(
        "schemas",
        cargo().env("BATON_BLESS", "1").args([
            "test",
            "--quiet",
            "--locked",
            "-p",
            "bus-schemas",
            "-p",
            "orchestrator",
            "schema",
        ]),
    )
}
