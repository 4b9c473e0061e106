//! What the proxy is told about an attempt, and what it tells.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::{time::UnixMs, v1::agent::EgressRecord};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    lend::Lent,
    resolve::{Allowed, Resolve, System},
    rules::{Host, Rules},
    secrets::Secrets,
    splice::Counts,
};

/// Connections recorded per attempt; the log has all of them.
const MAX_RECORDS: usize = 200;

/// What an attempt may reach, and what it tried to.
#[derive(Debug)]
pub struct EgressAccess {
    pub(super) rules: Rules,
    records: Arc<Mutex<Vec<EgressRecord>>>,
    log: mpsc::Sender<String>,
    pub(super) stop: CancellationToken,
    pub(super) resolver: Arc<dyn Resolve>,
    /// Of those the rules let through, these may have a private address.
    pub(super) private: Arc<Rules>,
    pub(super) lent: Lent,
    #[cfg(test)]
    allow_private: bool,
    pub(super) waits: Waits,
}

/// How long the proxy waits for others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For a request.
    pub head: Duration,
    /// For a name and a connection.
    pub connect: Duration,
    /// For the next byte, either way.
    pub idle: Duration,
}

const WAITS: Waits =
    Waits { head: Duration::from_secs(30), connect: Duration::from_secs(20), idle: Duration::from_secs(300) };

impl EgressAccess {
    /// Access by these rules. The first connections go into `records`, a line for each into `log`; `stop` ends all of them.
    #[must_use]
    pub fn new(
        rules: Rules,
        records: Arc<Mutex<Vec<EgressRecord>>>,
        log: mpsc::Sender<String>,
        stop: CancellationToken,
    ) -> Self {
        let resolver = Arc::new(System);
        let private = Arc::default();
        Self {
            rules,
            records,
            log,
            stop,
            resolver,
            private,
            lent: Lent::default(),
            #[cfg(test)]
            allow_private: false,
            waits: WAITS,
        }
    }

    /// Which addresses a host that the rules let through may have.
    pub(super) fn allowed(&self, host: &Host, port: u16) -> Allowed {
        #[cfg(test)]
        if self.allow_private {
            return Allowed::All;
        }
        if self.private.allowing(host, port).is_some() { Allowed::Network } else { Allowed::Public }
    }

    /// Where the rules name one of these, it may have a private address.
    #[must_use]
    pub fn with_private(self, private: Arc<Rules>) -> Self {
        Self { private, ..self }
    }

    /// Plain requests to the hosts of these secrets go on with them, for those that are named and
    /// go where `terms` says of them.
    #[must_use]
    pub fn with_secrets(self, all: Secrets, granted: &[String], terms: &BTreeMap<String, String>) -> Self {
        Self { lent: Lent::new(all, granted, terms), ..self }
    }

    /// For tests: names as this resolver has them; private addresses are let through or not; short waits.
    #[cfg(test)]
    pub(super) fn faked(mut self, resolver: impl Resolve + 'static, allow_private: bool, waits: Waits) -> Self {
        self.resolver = Arc::new(resolver);
        self.allow_private = allow_private;
        self.waits = waits;
        self
    }

    /// Notes a connection that was asked for.
    pub(super) fn asked(&self, target: &str, rule: &str, allowed: bool) -> Entry<'_> {
        let target = clean(target);
        let verdict = if allowed { "allowed" } else { "refused" };
        self.say(format!("egress {target} {verdict}: {rule}"));
        let at = UnixMs(jiff::Timestamp::now().as_millisecond());
        let record = EgressRecord {
            target: target.clone(),
            rule: rule.to_owned(),
            allowed,
            at,
            sent_bytes: 0,
            received_bytes: 0,
        };
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (records.len() < MAX_RECORDS).then(|| {
            records.push(record);
            records.len() - 1
        });
        drop(records);
        Entry { access: self, place, target, counts: Arc::default() }
    }

    fn say(&self, line: String) {
        // A log that is full must not hold up the traffic.
        let _ = self.log.try_send(line);
    }
}

/// A connection in the record; its bytes are noted when it is dropped.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    access: &'a EgressAccess,
    place: Option<usize>,
    target: String,
    pub(super) counts: Arc<Counts>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let (sent, received) = self.counts.both();
        if sent + received == 0 {
            return;
        }
        self.access.say(format!("egress {} closed: {sent} bytes sent, {received} received", self.target));
        let mut records = self.access.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = self.place.and_then(|place| records.get_mut(place)) {
            (record.sent_bytes, record.received_bytes) = (sent, received);
        }
    }
}

/// A target as the guest wrote it, fit for a line of a log.
fn clean(text: &str) -> String {
    text.chars().take(280).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}
