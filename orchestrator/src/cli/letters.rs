//! `baton mail log`, `show`, `quarantine`, `release`, `drop` and `outbox`: mail over the API.

use std::io::Write as _;

use bus_schemas::v1::api::{LetterQuery, LetterRequest, LetterState, LetterView, MailView, OutState, OutView};

use super::{
    CliError, Context, Exit, ids,
    render::{ago, clock, now, size, table, word},
    style::{Paint, Style, clean, clean_line},
};
use crate::mail::reply;

/// Digits of a mail's id that lists show.
const ID_DIGITS: usize = 12;
/// Characters of a subject or a reason in a list; `show` and `--json` have all.
const SHOWN_CHARS: usize = 60;

pub(super) async fn list(context: &Context, state: Option<LetterState>, limit: u32) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let letters = client.letters(&LetterQuery { state, limit }).await?;
    if ui.json {
        letters.iter().try_for_each(|letter| ui.json_line(letter))?;
        return Ok(Exit::Ok);
    }
    // An older orchestrator does not say how the mailbox is.
    if let Some(why) = client.mail().await.ok().and_then(|mail| not_read(&mail)) {
        ui.say(&ui.err.paint(Paint::Yellow, &why));
    }
    if letters.is_empty() {
        ui.say(if state == Some(LetterState::Quarantined) { "no mail is put aside" } else { "no mail came in" });
        return Ok(Exit::Ok);
    }
    // Who looks at what was put aside wants to know why.
    let is_aside = state == Some(LetterState::Quarantined);
    let rows: Vec<Vec<String>> = letters.iter().map(|letter| row(ui.out, letter, is_aside)).collect();
    ui.data(&table(ui.out, &["ID", "AT", "FROM", "SUBJECT", "STATE", "WHAT CAME OF IT"], &rows))?;
    if state == Some(LetterState::Quarantined) {
        ui.say("`baton mail show ID` shows one; `release ID` lets it pass, `drop ID` throws it away");
    }
    Ok(Exit::Ok)
}

/// What keeps our mailbox from being read, if something does.
fn not_read(mail: &MailView) -> Option<String> {
    let why = mail.mailbox.as_ref()?.trouble.as_deref()?;
    Some(format!(
        "the mailbox of {} is not read now: {}; `baton mail check` looks at it",
        mail.address,
        clean_line(why)
    ))
}

fn row(style: Style, letter: &LetterView, is_whole: bool) -> Vec<String> {
    let outcome = if is_whole { clean_line(&letter.outcome) } else { shown(&letter.outcome) };
    vec![
        short(&letter.id),
        ago(now(), letter.received_at),
        shown(&letter.from),
        shown(&letter.subject),
        state(style, letter.state),
        outcome,
    ]
}

pub(super) async fn show(context: &Context, id: &str, raw: bool) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let id = check(id)?;
    if raw {
        let text = client.letter_text(id).await?;
        let mut out = std::io::stdout().lock();
        out.write_all(&text)?;
        out.flush()?;
        return Ok(Exit::Ok);
    }
    let letter = client.letter(id).await?;
    if ui.json {
        ui.json_line(&letter)?;
        return Ok(Exit::Ok);
    }
    let read = reply::parse(&client.letter_text(&letter.id).await?);
    let mut text = about(ui.out, &letter);
    text.push('\n');
    text.push_str(&clean(&read.text()));
    ui.data(&text)?;
    Ok(Exit::Ok)
}

/// What is known of a mail, a line each.
fn about(style: Style, letter: &LetterView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{} {value}\n", style.paint(Paint::Dim, format!("{name:10}"))));
        }
    };
    line("mail", letter.id.clone());
    line("from", clean_line(&letter.from));
    line("person", clean_line(&letter.person));
    line("subject", clean_line(&letter.subject));
    line("came", format!("{} over {}, {}", clock(letter.received_at, true), letter.source, size(letter.size_bytes)));
    if let Some(from) = &letter.mail_from {
        line("envelope", if from.is_empty() { "the null return path".to_owned() } else { clean_line(from) });
    }
    line("to", clean_line(&letter.rcpt_to.join(", ")));
    line("message-id", letter.message_id.as_deref().map(clean_line).unwrap_or_default());
    line("state", state(style, letter.state));
    line("because", clean_line(&letter.outcome));
    line("by", letter.by.as_deref().map(clean_line).unwrap_or_default());
    line("project", letter.project_id.as_ref().map(ids::alone).unwrap_or_default());
    text
}

pub(super) async fn judge(context: &Context, id: &str, is_released: bool) -> Result<Exit, CliError> {
    let client = context.client()?;
    let id = check(id)?;
    let request = LetterRequest { by: context.person(), channel: "cli".to_owned() };
    let letter =
        if is_released { client.release_letter(id, &request).await? } else { client.drop_letter(id, &request).await? };
    if context.ui.json {
        context.ui.json_line(&letter)?;
    } else if is_released {
        context
            .ui
            .say("released: it is acted on as if its sender were genuine; `baton mail show ID` says what came of it");
    } else {
        context.ui.say("dropped: nothing of it is acted on");
    }
    Ok(Exit::Ok)
}

pub(super) async fn outbox(context: &Context, limit: u32) -> Result<Exit, CliError> {
    let ui = context.ui;
    let mails = context.client()?.mail_outbox(limit).await?;
    if ui.json {
        mails.iter().try_for_each(|mail| ui.json_line(mail))?;
        return Ok(Exit::Ok);
    }
    if mails.is_empty() {
        ui.say("no mail of ours was written");
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = mails.iter().map(|mail| sent_row(ui.out, mail)).collect();
    ui.data(&table(ui.out, &["AT", "TO", "WHAT", "STATE", "TRIES", "TROUBLE"], &rows))?;
    Ok(Exit::Ok)
}

fn sent_row(style: Style, mail: &OutView) -> Vec<String> {
    let paint = match mail.state {
        OutState::Queued => Paint::Yellow,
        OutState::Sent => Paint::Green,
        OutState::Failed | OutState::Bounced => Paint::Red,
    };
    vec![
        ago(now(), mail.created_at),
        shown(&mail.to),
        shown(&mail.name),
        style.paint(paint, word(&mail.state)),
        mail.tries.to_string(),
        // What stands at its end is who was asked instead.
        clean_line(mail.error.as_deref().unwrap_or_default()),
    ]
}

fn state(style: Style, state: LetterState) -> String {
    let paint = match state {
        LetterState::Kept | LetterState::Released => Paint::Blue,
        LetterState::Quarantined => Paint::Yellow,
        LetterState::Done => Paint::Green,
        LetterState::Dropped => Paint::Dim,
    };
    style.paint(paint, word(&state))
}

fn short(id: &str) -> String {
    id.chars().take(ID_DIGITS).collect()
}

/// The beginning of it, on one line.
fn shown(text: &str) -> String {
    let line = clean_line(text);
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Refuses what cannot be (the beginning of) a mail's id before it is put into an address.
fn check(id: &str) -> Result<&str, CliError> {
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(id);
    }
    let hint = "ids of mails are hexadecimal: see `baton mail log`";
    Err(CliError::new(Exit::NotFound, "not_found", format!("{id:?} is not a mail's id"), Some(hint)))
}

#[cfg(test)]
mod tests {
    use bus_schemas::{
        time::UnixMs,
        v1::api::{MailboxState, MailboxView},
    };

    use super::*;

    #[test]
    fn reasons_are_whole_where_they_are_looked_for() {
        let plain = Style { colour: false };
        let why = "it came back: 5.1.1 nobody of that name is known at this server; instead: bob at bob@example.org";
        let mail = OutView { error: Some(why.to_owned()), ..OutView::default() };
        assert_eq!(sent_row(plain, &mail).last().map(String::as_str), Some(why));
        let letter = LetterView { outcome: why.to_owned(), ..LetterView::default() };
        assert_eq!(row(plain, &letter, true).last().map(String::as_str), Some(why));
        assert!(row(plain, &letter, false).last().is_some_and(|last| last.ends_with('…')));
    }

    #[test]
    fn a_mailbox_that_is_not_read_is_said() {
        let of = |state, trouble: Option<&str>| {
            let mailbox = Some(MailboxView { state, trouble: trouble.map(str::to_owned) });
            not_read(&MailView { address: "baton@example.org".to_owned(), mailbox })
        };
        assert_eq!((of(MailboxState::Open, None), not_read(&MailView::default())), (None, None));
        let said = of(MailboxState::Trouble, Some("the server\u{1b}[31m refuses LOGIN")).unwrap();
        assert!(said.starts_with("the mailbox of baton@example.org is not read now: the server"), "{said}");
        assert!(!said.contains('\u{1b}') && said.contains("baton mail check"), "{said}");
    }

    #[test]
    fn what_strangers_wrote_cannot_steer_the_terminal() {
        let plain = Style { colour: false };
        let letter = LetterView {
            id: "ab".repeat(32),
            source: "imap".to_owned(),
            received_at: UnixMs(0),
            from: "eve@\u{1b}[31mexample.org".to_owned(),
            subject: "line\nstate      done \u{202e}gpj".to_owned(),
            mail_from: Some(String::new()),
            outcome: "no\rYES".to_owned(),
            ..LetterView::default()
        };
        let text = about(plain, &letter);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("state ")).count(), 1, "{text}");
        assert!(text.contains("envelope   the null return path"), "{text}");
        assert_eq!(row(plain, &letter, false)[0], "abababababab");
        assert_eq!(shown(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in ["", "..", "a/b", "0193-4f", &"a".repeat(65)] {
            assert_eq!(check(bad).unwrap_err().exit, Exit::NotFound, "{bad}");
        }
        assert_eq!(check("AB12").unwrap(), "AB12");
    }
}
