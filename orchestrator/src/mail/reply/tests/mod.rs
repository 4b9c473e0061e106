//! Own mails, written for these tests.

mod decisions;
mod html;
mod limits;
mod mails;
mod mime;
mod properties;
mod table;
