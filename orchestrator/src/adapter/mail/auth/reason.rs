//! Why a mail is not believed, for people, with the way out.

/// What was found about a mail nobody vouches for.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The domain of its From.
    pub(super) domain: String,
    /// It has a DMARC record.
    pub(super) has_record: bool,
    /// What a server we believe said.
    pub(super) said: Option<String>,
    /// What is wrong with the signatures of this domain.
    pub(super) signatures: Vec<String>,
    /// A signature of it holds and counts, and yet does not speak for this domain: of which domains.
    pub(super) strangers: Vec<String>,
    /// What SPF said.
    pub(super) spf: String,
}

impl Found {
    /// A sentence or two.
    pub(super) fn sentence(&self) -> String {
        let domain = &self.domain;
        let mut said: Vec<String> = self.said.iter().cloned().collect();
        said.extend(self.signatures.iter().cloned());
        if !self.strangers.is_empty() {
            said.push(format!("the signature of {} does not speak for {domain}", self.strangers.join(", ")));
        } else if self.signatures.is_empty() {
            said.push("it has no DKIM signature".to_owned());
        }
        said.push(self.spf.clone());
        let verdict = if self.has_record { "DMARC fail: nothing" } else { "nothing" };
        format!("{verdict} proves that it is from {domain}: {}. {}", said.join("; "), self.way_out())
    }

    fn way_out(&self) -> String {
        let domain = &self.domain;
        if self.signatures.is_empty() && self.strangers.is_empty() {
            return format!(
                "If it is genuine, the server of {domain} must sign with DKIM (TXT record SELECTOR._domainkey.{domain}), or name our \
                 own mail exchanger in mail.trusted_results or mail.trusted_received"
            );
        }
        if !self.strangers.is_empty() && !self.has_record {
            return format!("If it is genuine, sign as d={domain}, or publish a DMARC record (TXT _dmarc.{domain})");
        }
        format!("If it is genuine, sign as d={domain}, and have it sent again; an admin can release it")
    }
}
