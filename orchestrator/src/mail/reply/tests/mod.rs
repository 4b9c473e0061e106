//! Own mails, written for these tests.

mod decisions;
mod html;
mod mails;
mod mime;
mod properties;
mod table;
