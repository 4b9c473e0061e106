//! The verifier: one look at one mail.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DmarcResult, DnsError, Error, SpfOutput, SpfResult, common::to_a_label,
    dmarc::verify::DmarcParameters, spf::verify::SpfParameters,
};

use super::{
    asks,
    dns::Dns,
    fields::{self, Field},
    reason::Found,
    received::{self, Client},
    results::{self, Said},
    signature::{self, Addressed, Judged},
};
use crate::{
    adapter::{
        clock::SystemClock,
        mail::{Asks, Authentic, Verifier},
    },
    mail::{
        address, addressed,
        letter::{Delivery, Letter},
    },
    port::Clock,
};

/// A mail that takes longer is looked at again later.
const LONGEST: Duration = Duration::from_secs(25);
/// How old a mail may be, and how far ahead its sender's clock may be.
const OLDEST_MS: i64 = 7 * 24 * 3_600_000;
const AHEAD_MS: i64 = 24 * 3_600_000;

/// Says whether mails are genuine. Cheap to clone.
#[derive(Clone)]
pub struct MailAuth(Arc<Inner>);

struct Inner {
    dns: Dns,
    trusted_results: Vec<String>,
    trusted_received: Vec<String>,
    ours: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for MailAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailAuth").field("ours", &self.0.ours).finish_non_exhaustive()
    }
}

impl MailAuth {
    /// Asks these name servers (else those of the system), believes these servers' `Authentication-Results` and `Received` lines.
    ///
    /// # Errors
    /// There are no name servers to ask.
    pub fn new(
        dns: &[SocketAddr],
        trusted_results: &[String],
        trusted_received: &[String],
        our_address: &str,
    ) -> Result<Self, String> {
        Ok(Self(Arc::new(Inner {
            dns: Dns::new(dns)?,
            trusted_results: trusted_results.to_vec(),
            trusted_received: trusted_received.to_vec(),
            ours: address::normal(our_address)
                .ok_or_else(|| format!("mail.address {our_address:?} is no plain address"))?,
            clock: Arc::new(SystemClock),
        })))
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            dns: inner.dns.clone(),
            trusted_results: inner.trusted_results.clone(),
            trusted_received: inner.trusted_received.clone(),
            ours: inner.ours.clone(),
            clock,
        }))
    }

    async fn look(&self, raw: &[u8], letter: &Letter, delivery: &Delivery) -> Result<Authentic, String> {
        let fields =
            fields::read(raw).map_err(|why| format!("the mail is not well-formed: {why}. Have it sent again"))?;
        let mut message = AuthenticatedMessage::parse(raw).ok_or("the mail has no header")?;
        let domain = self.form(&fields, &message, letter)?;
        let addressed = self.addressed(&fields, letter)?;
        let mut found = Found { domain, ..Found::default() };
        match results::judge(&fields, &self.0.trusted_results, &self.0.trusted_received, &found.domain) {
            Some(Said::Pass(how)) => return Ok(Authentic::Yes(how)),
            Some(Said::Fail(why)) => found.said = Some(why),
            None => {}
        }
        let others = signature::narrow(&mut message, &found.domain);
        Ok(Box::pin(self.prove(&message, &fields, delivery, addressed, others, found)).await)
    }

    /// What can be seen without asking anybody: its form, its one sender, its date. The domain of its sender.
    fn form(&self, fields: &[Field], message: &AuthenticatedMessage<'_>, letter: &Letter) -> Result<String, String> {
        if let Some((name, count)) = fields::doubled(fields) {
            return Err(format!(
                "the mail has {count} {name} lines: one is allowed, another may have been added on its way"
            ));
        }
        let same = message.headers.len() == fields.len()
            && message
                .headers
                .iter()
                .zip(fields)
                .all(|((name, _), field)| name.eq_ignore_ascii_case(field.name.as_bytes()));
        if !same {
            return Err(
                "the mail is not well-formed: its header can be read in two ways. Have it sent again".to_owned()
            );
        }
        let [from] = letter.from.as_slice() else {
            return Err(format!("the mail has {} From addresses: exactly one is allowed", letter.from.len()));
        };
        let [other] = message.from.as_slice() else {
            return Err("the mail's From can be read in two ways: write from one plain address".to_owned());
        };
        let address = address::normal(&from.address).filter(|known| address::normal(other).as_ref() == Some(known));
        let Some(address) = address else {
            return Err("the mail's From can be read in two ways: write from one plain address".to_owned());
        };
        let domain = address.rsplit_once('@').map(|(_, domain)| domain.to_owned()).filter(|domain| is_domain(domain));
        let domain = domain
            .ok_or_else(|| format!("{:?} in From has no domain that could vouch for it", shown(&from.address)))?;
        let Some(date) = letter.date else {
            return Err("the mail has no Date: it could be an old one, sent again".to_owned());
        };
        let age = self.0.clock.now().0.saturating_sub(date.0);
        if age > OLDEST_MS {
            let days = age / (24 * 3_600_000);
            return Err(format!(
                "the mail says it was written {days} days ago: it could be an old one, sent again. Write a new one"
            ));
        }
        if age < -AHEAD_MS {
            return Err(
                "the mail says it was written in the future: set the clock of the machine that wrote it".to_owned()
            );
        }
        Ok(domain)
    }

    /// Where our address stands, in the line that counts.
    fn addressed(&self, fields: &[Field], letter: &Letter) -> Result<Addressed, String> {
        if let Some((line, is_detailed)) = addressed::line(letter, &self.0.ours)
            && fields::has(fields, line.name())
        {
            return Ok(Addressed { field: line.name(), is_detailed });
        }
        let named: Vec<String> =
            letter.to.iter().chain(&letter.cc).take(3).map(|known| shown(&known.address)).collect();
        let named = if named.is_empty() { "nobody".to_owned() } else { named.join(", ") };
        Err(format!(
            "not addressed to us: To and Cc name {named}. Write to {} directly; a mail to somebody else may have been sent on",
            self.0.ours
        ))
    }

    async fn prove(
        &self,
        message: &AuthenticatedMessage<'_>,
        fields: &[Field],
        delivery: &Delivery,
        addressed: Addressed,
        others: Vec<String>,
        mut found: Found,
    ) -> Authentic {
        let dns = &self.0.dns;
        let mut later = Vec::new();
        let mut counting = Vec::new();
        for output in dns.asks().verify_dkim(dns.with(message)).await {
            if output.signature().is_none() {
                continue;
            }
            match signature::judge(&output, fields, addressed) {
                Judged::Counts => counting.push(output),
                Judged::Not(why) => found.signatures.push(why),
                Judged::Later(why) => later.push(why),
            }
        }
        found.signatures.extend(signature::unreadable(message));
        found.strangers = others;
        // Its own domain's signature is enough: the return path's domain needs not be asked as well.
        let is_signed = counting
            .iter()
            .filter_map(DkimOutput::signature)
            .any(|signature| to_a_label(&signature.d).eq_ignore_ascii_case(&found.domain));
        let (spf, mail_from) = if is_signed {
            (SpfOutput::new(String::new()), String::new())
        } else {
            self.spf(fields, delivery, &found.domain, &mut found.spf).await
        };
        if spf.result() == SpfResult::TempError {
            later.push(format!("the SPF record of {} cannot be got now", spf.domain()));
        }
        let params = DmarcParameters::new(message, &counting, &mail_from, &spf);
        let dmarc = dns.asks().verify_dmarc(dns.with(params)).await;
        let signers: Vec<&str> =
            counting.iter().filter_map(|output| output.signature()).map(|signature| signature.d.as_str()).collect();
        found.has_record = dmarc.dmarc_record().is_some();
        let (by_dkim, by_spf) = if found.has_record {
            (*dmarc.dkim_result() == DmarcResult::Pass, *dmarc.spf_result() == DmarcResult::Pass)
        } else {
            let spf_speaks = spf.result() == SpfResult::Pass && speaks_for(&mail_from, &found.domain);
            (signers.iter().any(|signer| speaks_for(signer, &found.domain)), spf_speaks)
        };
        // Whether another domain than its own may speak for it, the record says: without an answer, nobody knows.
        if let DmarcResult::TempError(error) = dmarc.dkim_result()
            && !is_signed
        {
            later.push(format!("the DMARC record of {} cannot be got now: {}", found.domain, said(error)));
        } else if by_dkim || by_spf {
            let record = if found.has_record { "DMARC pass" } else { "no DMARC record" };
            let how = if by_dkim {
                let signer =
                    signers.iter().find(|signer| speaks_for(signer, &found.domain)).or_else(|| signers.first());
                format!("DKIM d={}", signer.copied().unwrap_or_default())
            } else {
                format!("SPF {mail_from}")
            };
            return Authentic::Yes(format!("{record} ({how})"));
        }
        if !later.is_empty() {
            return Authentic::Unknown(later.join("; "));
        }
        found.strangers.extend(signers.iter().map(|signer| signature::shown(signer)));
        if spf.result() == SpfResult::Pass {
            found.spf = format!("SPF speaks for {}, not for it", signature::shown(&mail_from));
        }
        Authentic::No(found.sentence())
    }

    /// What SPF says, if we know from where the mail came, and about which domain.
    async fn spf(&self, fields: &[Field], delivery: &Delivery, domain: &str, note: &mut String) -> (SpfOutput, String) {
        let none = || (SpfOutput::new(String::new()), String::new());
        let told = delivery.client_ip.map(|ip| Client { ip, helo: delivery.helo.clone().unwrap_or_default() });
        let Some(client) = told.or_else(|| received::border(fields, &self.0.trusted_received)) else {
            *note =
                "SPF cannot be looked at: from where it came is known only by servers named in mail.trusted_received"
                    .to_owned();
            return none();
        };
        let Some(sender) = delivery.mail_from.clone().or_else(|| asks::return_path(fields)) else {
            *note = "SPF cannot be looked at: its return path is not known".to_owned();
            return none();
        };
        let Some((_, mail_from)) = sender.rsplit_once('@') else {
            *note = "SPF cannot be looked at: its return path is empty".to_owned();
            return none();
        };
        let mail_from = to_a_label(mail_from).into_owned();
        if !is_domain(&mail_from) {
            *note = "SPF cannot be looked at: its return path is no address".to_owned();
            return none();
        }
        // It could not speak for the mail's sender, whatever it says: a stranger's name servers are not asked.
        if !signature::is_kin(&mail_from, domain) {
            *note = format!("SPF could only speak for {}, not for it", signature::shown(&mail_from));
            return none();
        }
        let dns = &self.0.dns;
        let params = SpfParameters::verify_mail_from(client.ip, &client.helo, domain, &sender);
        let output = dns.asks().verify_spf(dns.with(params)).await;
        *note = match output.result() {
            SpfResult::Pass => "SPF pass".to_owned(),
            SpfResult::None => format!("{mail_from} has no SPF record"),
            result => format!(
                "SPF {} ({} may not send for {mail_from}: look at its TXT record v=spf1 …)",
                result.to_string().to_lowercase(),
                client.ip
            ),
        };
        (output, mail_from)
    }
}

impl Verifier for MailAuth {
    fn asks(&self, head: &[u8], delivery: &Delivery) -> Asks {
        asks::of(head, delivery)
    }

    async fn verify(&self, raw: &[u8], letter: &Letter, delivery: &Delivery) -> Authentic {
        match tokio::time::timeout(LONGEST, Box::pin(self.look(raw, letter, delivery))).await {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => Authentic::No(why),
            Err(_) => Authentic::Unknown(format!("the name servers took longer than {} s", LONGEST.as_secs())),
        }
    }
}

/// Whether a domain speaks for another without a DMARC record: itself, and one above it, which could say anything about it.
fn speaks_for(signer: &str, domain: &str) -> bool {
    let signer = to_a_label(signer.trim_end_matches('.')).to_ascii_lowercase();
    let above = || domain.strip_suffix(&signer).is_some_and(|rest| rest.ends_with('.'));
    signer.contains('.') && (signer == domain || above())
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(is_label)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn said(error: &Error) -> String {
    match error {
        Error::Dns(DnsError::Resolver(why)) => why.clone(),
        error => error.to_string(),
    }
}
