//! `baton audit`: who was asked what, who saw it, who decided.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use bus_schemas::v1::api::{AuditEntry, AuditReport};

use super::{
    CliError, Context, Exit, ids,
    ledger_args::{AuditArgs, AuditCommand},
    render::{clock, count, table},
    style::{Paint, clean_line},
};
use crate::adapter::web::Client;

/// Characters of an entry's detail that are shown; `--json` shows all.
const SHOWN_CHARS: usize = 100;

pub(super) async fn audit(context: &Context, args: AuditArgs) -> Result<Exit, CliError> {
    match args.command {
        Some(AuditCommand::Verify { head }) => verify(context, head.as_deref()).await,
        Some(AuditCommand::Export { file }) => export(context, &file).await,
        None => print(context, args.project.as_deref()).await,
    }
}

/// Page after page.
struct Pages<'a> {
    client: Client,
    project: Option<&'a str>,
    after: u64,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<Vec<AuditEntry>>, CliError> {
        let page = self.client.audit(self.after, self.project).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = last.number;
        Ok(Some(page))
    }
}

async fn print(context: &Context, project: Option<&str>) -> Result<Exit, CliError> {
    let ui = context.ui;
    let project = project.map(|project| ids::check("ps", project)).transpose()?;
    let mut pages = Pages { client: context.client()?, project, after: 0 };
    let mut is_empty = true;
    while let Some(page) = pages.next().await? {
        if ui.json {
            page.iter().try_for_each(|entry| ui.json_line(entry))?;
        } else {
            let rows: Vec<Vec<String>> = page.iter().map(row).collect();
            let head = ["NUMBER", "AT", "WHAT", "ABOUT", "REQUEST", "WHO", "OVER", "MORE"];
            ui.data(&table(ui.out, &head, &rows))?;
        }
        is_empty = false;
    }
    if is_empty && !ui.json {
        ui.say("nothing was asked yet");
    }
    Ok(Exit::Ok)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let detail = serde_json::to_string(&entry.detail).unwrap_or_default();
    let mut short: String = clean_line(&detail).chars().take(SHOWN_CHARS).collect();
    if short.chars().count() == SHOWN_CHARS {
        short.push('…');
    }
    vec![
        entry.number.to_string(),
        clock(entry.at, true),
        clean_line(&entry.kind),
        clean_line(&entry.subject),
        if entry.approval_id.as_uuid().is_nil() { String::new() } else { ids::alone(&entry.approval_id) },
        clean_line(&entry.actor),
        clean_line(&entry.channel),
        short,
    ]
}

async fn verify(context: &Context, head: Option<&str>) -> Result<Exit, CliError> {
    let ui = context.ui;
    let report = context.client()?.verify_audit(head).await?;
    let exit = if report.findings.is_empty() { Exit::Ok } else { Exit::Negative };
    if ui.json {
        ui.json_line(&report)?;
    } else {
        ui.data(shown(ui.out, &report).trim_end())?;
    }
    Ok(exit)
}

fn shown(style: super::style::Style, report: &AuditReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let place = match finding.number {
            0 => "the log:".to_owned(),
            number => format!("entry {number}:"),
        };
        text.push_str(&format!("{} {}\n", style.paint(Paint::Red, place), clean_line(&finding.problem)));
    }
    let entries = match report.entries {
        1 => "1 entry".to_owned(),
        number => format!("{number} entries"),
    };
    let verdict = if report.findings.is_empty() {
        style.paint(Paint::Green, "whole")
    } else {
        style.paint(Paint::Red, count(report.findings.len(), "finding"))
    };
    text.push_str(&format!("{entries}, {verdict}\n"));
    if report.starts_at > 1 {
        text.push_str(&format!("starts at journal record {}: the database is older than the log\n", report.starts_at));
    }
    text.push_str(&format!("{} {}\n", style.paint(Paint::Dim, "head"), clean_line(&report.head)));
    text
}

/// An earlier file of that name stays as it is until all of the new one is written: an export that breaks off takes nothing away.
async fn export(context: &Context, file: &Path) -> Result<Exit, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(Exit::Environment, "not_written", format!("write {}: {error}", file.display()), None)
    };
    let pages = Pages { client: context.client()?, project: None, after: 0 };
    // A pipe or a terminal is written to as it is.
    let is_device = std::fs::metadata(file).is_ok_and(|found| !found.is_file());
    let (entries, head) = if is_device {
        written(pages, &File::create(file).map_err(failed)?, failed).await?
    } else {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let draft = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let said = written(pages, draft.as_file(), failed).await?;
        draft.as_file().sync_all().map_err(failed)?;
        draft.persist(file).map_err(|error| failed(error.error))?;
        said
    };
    context.ui.say(&format!("{entries} entries written to {}; the last one's hash is {head}", file.display()));
    Ok(Exit::Ok)
}

/// Writes page after page; how many entries there were, and the last one's hash.
async fn written(
    mut pages: Pages<'_>,
    file: &File,
    failed: impl Fn(std::io::Error) -> CliError,
) -> Result<(u64, String), CliError> {
    let mut out = BufWriter::new(file);
    let (mut entries, mut head) = (0, String::new());
    while let Some(page) = pages.next().await? {
        for entry in page {
            serde_json::to_writer(&mut out, &entry).map_err(|error| failed(error.into()))?;
            out.write_all(b"\n").map_err(&failed)?;
            entries += 1;
            head = entry.hash;
        }
    }
    out.flush().map_err(failed)?;
    Ok((entries, head))
}
