//! What is missing for mail to come in, go out, and be believed by others.

mod dns;
mod incoming;
mod outgoing;
mod trip;

#[cfg(test)]
mod tests;

use crate::{
    adapter::mail::{
        auth::Dns,
        imap::{ImapSettings, Timing},
    },
    config::Mail,
};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Well.
    Ok,
    /// It works without.
    Warning,
    /// It does not.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub part: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// How it came out.
    pub grade: Grade,
    /// What was found.
    pub said: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// What is looked at, and what for.
#[derive(Clone, Copy, Debug)]
struct Part(&'static str, &'static str);

impl Part {
    fn ok(self, said: impl Into<String>) -> Finding {
        Finding { part: self.0, purpose: self.1, grade: Grade::Ok, said: said.into(), hint: None }
    }

    fn warning(self, said: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { grade: Grade::Warning, hint: Some(hint.into()), ..self.ok(said) }
    }

    fn wrong(self, said: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { grade: Grade::Wrong, hint: Some(hint.into()), ..self.ok(said) }
    }
}

/// Looks at everything that can be looked at from here. With `round_trip`, a mail is sent to ourselves and waited for.
pub async fn check(mail: &Mail, round_trip: bool) -> Vec<Finding> {
    check_with(mail, round_trip, Timing::default()).await
}

async fn check_with(mail: &Mail, round_trip: bool, timing: Timing) -> Vec<Finding> {
    let Some(address) = &mail.address else {
        let hint = "set mail.address, mail.imap and mail.smtp in the configuration (docs/mail.md)";
        return vec![Part("mail", "is on at all").wrong("mail.address is not set: there is no mail", hint)];
    };
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let mut findings = Vec::new();
    match Dns::new(&mail.dns) {
        Ok(dns) => findings.extend(dns::look(mail, domain, &dns).await),
        Err(why) => findings.push(Part("dns", "other servers' keys and policies").wrong(why, "set mail.dns")),
    }
    let settings = match ImapSettings::new(mail) {
        Ok(settings) => settings.map(|mut settings| {
            settings.timing = timing;
            settings
        }),
        Err(why) => {
            findings.push(incoming::PART.wrong(why, "docs/mail.md says what is needed"));
            None
        }
    };
    let way_in = match &settings {
        Some(settings) => incoming::look(settings, &mut findings).await,
        None => false,
    };
    if mail.imap.host.is_empty() {
        incoming::webhooks(mail, &mut findings);
    }
    let way_out = outgoing::look(mail, address, &mut findings).await;
    if mail.allow.is_empty() {
        let hint = "members' addresses may always write; for others set mail.allow";
        findings.push(Part("allow", "who may write").ok(format!("members only ({hint})")));
    } else {
        findings.push(Part("allow", "who may write").ok(format!("members, {}", mail.allow.join(", "))));
    }
    let idle = Part("settings", "what is set is used");
    findings
        .extend(mail.complaints().into_iter().map(|why| idle.warning(why, "docs/mail.md says what belongs together")));
    if let (Some(settings), Some(smtp)) = (settings.filter(|_| round_trip && way_in), way_out) {
        findings.push(trip::take(mail, address, &smtp, &settings).await);
    }
    findings
}
