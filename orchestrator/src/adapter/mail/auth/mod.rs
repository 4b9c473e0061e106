//! Is a mail's sender who it says: DKIM, SPF and DMARC, looked up by ourselves, or the word of a server we were told to believe.
//!
//! A mail is believed for one reason only: the domain of its single From address vouches for it, by a signature that covers what
//! we read, or by the address it came from. What a mail says about itself counts for nothing.

mod asks;
mod dns;
mod fields;
mod reason;
mod received;
mod results;
mod signature;
mod verifier;

pub use self::{dns::Dns, verifier::MailAuth};

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
