//! `baton rebuild`

use super::{CliError, Context, Exit, render::count};

pub(super) async fn rebuild(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let report = context.client()?.rebuild().await?;
    if ui.json {
        ui.json_line(&report)?;
    } else {
        ui.data(&format!(
            "read {} journal records, wrote {} rows, found {}",
            report.journal_entries,
            report.rows,
            count(usize::try_from(report.differences).unwrap_or(usize::MAX), "difference")
        ))?;
    }
    Ok(if report.differences == 0 { Exit::Ok } else { Exit::Negative })
}
