//! An answer on its way down.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bus_schemas::{prices::Priced, v1::agent::Spend};
use bytes::Bytes;
use futures::Stream;
use hyper::body::Frame;

use super::{access::Reservation, answer::Broken, redact::Redactor, usage::Tap};
use crate::adapter::governor::Ticket;

/// What a call costs in the end.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) reservation: Reservation,
    pub(super) priced: Priced,
    pub(super) estimated_input: u64,
}

impl Bill {
    /// The call has cost what the tap saw.
    pub(super) fn write(&mut self, tap: &Tap) {
        let tokens = tap.tokens(self.estimated_input);
        let usd_nanos = self.priced.cost(&tokens);
        self.reservation.costs(Spend { calls: 1, tokens, usd_nanos, price_assumed: self.priced.assumed });
    }
}

type Upstream = Pin<Box<dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send>>;

/// Passes frames on as they come, and looks at them.
pub(super) struct Through {
    pub(super) upstream: Upstream,
    pub(super) tap: Tap,
    pub(super) redactor: Redactor,
    /// Written and settled at the end, however it comes.
    pub(super) bill: Option<Bill>,
    /// Gives the slot back.
    pub(super) ticket: Option<Ticket>,
    /// Nothing but its own words tells the end of this answer.
    pub(super) until_closed: bool,
    /// Bytes that are still to come, if the provider said how many: the server asks for no more after them.
    pub(super) left: Option<u64>,
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through").field("bill", &self.bill).finish_non_exhaustive()
    }
}

impl Through {
    /// The answer is over: the bill is settled, the slot is free.
    fn close(&mut self) {
        if let Some(mut bill) = self.bill.take() {
            bill.write(&self.tap);
        }
        self.ticket = None;
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        self.close();
    }
}

impl hyper::body::Body for Through {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if this.bill.is_none() {
                return Poll::Ready(None);
            }
            match std::task::ready!(this.upstream.as_mut().poll_next(cx)) {
                Some(Ok(piece)) => {
                    this.tap.feed(&piece);
                    this.left = this.left.map(|left| left.saturating_sub(piece.len() as u64));
                    let mut piece = this.redactor.push(piece);
                    if this.left == Some(0) {
                        this.tap.end();
                        this.close();
                        let rest = this.redactor.finish();
                        if !rest.is_empty() {
                            piece = [piece, rest].concat().into();
                        }
                    }
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Some(Err(error)) => {
                    this.close();
                    return Poll::Ready(Some(Err(Box::new(error.without_url()))));
                }
                None => {
                    this.tap.end();
                    let cut = this.until_closed && !this.tap.is_whole();
                    this.close();
                    if cut {
                        return Poll::Ready(Some(Err("the provider's answer broke off".into())));
                    }
                    let rest = this.redactor.finish();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
            }
        }
    }
}
