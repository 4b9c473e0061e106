//! Own mails, written for these tests.

mod decisions;
mod html;
mod mails;
mod properties;
mod table;
