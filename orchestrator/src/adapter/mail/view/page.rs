//! The pages behind links in mails: whole HTML documents without scripts and without anything from elsewhere. Showing one changes
//! nothing; a form does.

use bus_schemas::v1::{
    api::{ApprovalView, DiffView, ProjectView},
    approval::Verdict,
};

use super::Frame;

/// What a page's headers say about it (`Content-Security-Policy`).
#[must_use]
pub const fn policy() -> &'static str {
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

/// The page of a request that waits, with a form that posts `verdict` (`approve`, `changes`, `reject`, `ask`, `answer`), `note` and
/// `digest` to `action`. `trouble` is what was wrong with the last try.
#[must_use]
pub fn request(
    approval: &ApprovalView,
    project: &ProjectView,
    diff: Option<&DiffView>,
    action: &str,
    trouble: Option<&str>,
    frame: &Frame,
) -> String {
    let trouble = trouble.map(|why| format!("<p>{}</p>", plain(why))).unwrap_or_default();
    let diff = diff.map(|diff| format!("<pre>{}</pre>", plain(&diff.text))).unwrap_or_default();
    let key = |verdict: &str, words: &str| format!("<button name=\"verdict\" value=\"{verdict}\">{words}</button>");
    let keys = [key("approve", "Approve"), key("changes", "Request changes"), key("reject", "Reject")].concat();
    whole(
        &approval.project_title,
        &format!(
            "{trouble}<p>{}</p><p>For {}</p>{diff}<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"digest\" \
             value=\"{}\"><textarea name=\"note\"></textarea>{keys}</form>",
            plain(&project.goal),
            plain(&frame.person),
            plain(action),
            plain(&approval.digest),
        ),
    )
}

/// The page of a request that is closed: who decided, when, how.
#[must_use]
pub fn outcome(approval: &ApprovalView, _: &Frame) -> String {
    let said = approval.decision.as_ref().map_or_else(
        || "It is no longer asked.".to_owned(),
        |decision| {
            let word = match decision.verdict {
                Verdict::Approved => "Approved",
                Verdict::ChangesRequested => "Changes requested",
                Verdict::Rejected => "Rejected",
                Verdict::Expired => "Expired",
            };
            format!("{word} by {} over {}: {}", decision.by, decision.channel, decision.note)
        },
    );
    message(&approval.project_title, &said)
}

/// The page of a link that leads nowhere: of a wrong one and of one that is forgotten alike.
#[must_use]
pub fn gone() -> String {
    message("Nothing is here", "This link is not valid, or what it led to is no longer kept. Nothing was done.")
}

/// A page that says one thing.
#[must_use]
pub fn message(title: &str, said: &str) -> String {
    whole(title, &format!("<p>{}</p>", plain(said)))
}

/// The page on which somebody asks for no more news, and what it says once that is done. The form posts `verdict=quiet`.
#[must_use]
pub fn quiet(action: &str, is_done: bool, _: &Frame) -> String {
    if is_done {
        return message("No more news by mail", "You get no more news by mail. Requests that wait for you still come.");
    }
    let form = format!(
        "<form method=\"post\" action=\"{}\"><button name=\"verdict\" value=\"quiet\">No more news</button></form>",
        plain(action)
    );
    whole("No more news by mail", &form)
}

fn whole(title: &str, body: &str) -> String {
    let title = plain(title);
    format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    )
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
