//! The bridge's ways in: mails are handed to it, and it does what is kept.

use bytes::Bytes;

use super::{super::core::Bridge, Inward, work::Around};
use crate::{
    adapter::mail::{Desk, Kept, Transport, Verifier},
    mail::letter::Delivery,
    port::Service,
};

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Keeps a mail that came in; it is done soon. `false` if it is known already: that changes nothing.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`]: it is not kept; whoever handed it over keeps it and comes again.
    pub async fn take(&self, raw: Bytes, delivery: Delivery) -> Kept<bool> {
        let (_, is_new) = self.0.world.desk.keep(raw, delivery, self.now()).await?;
        self.ring();
        Ok(is_new)
    }

    /// Does what is kept, now and whenever the bell rings.
    pub(in super::super) async fn keep_inward(self) {
        let (core, world) = (&self.0, &self.0.world);
        let around = Around {
            service: world.service.clone(),
            desk: world.desk.clone(),
            verifier: world.verifier.clone(),
            outlet: self.clone(),
            people: std::sync::Arc::clone(&world.people),
            clock: std::sync::Arc::clone(&world.clock),
            settings: world.settings.clone(),
        };
        let inward = Inward::new(around, core.tasks.clone(), core.stop.clone());
        inward.keep(|| core.inward.notified()).await;
    }
}
