//! Mail: what people write, understood. Pure: no clock, no file, no network.
//!
//! [`letter`] takes a mail apart, [`reply`] finds what its writer says now, [`noise`] knows machines, [`bounce`] reads mails
//! that came back, [`token`] signs what goes into our addresses and links, [`addressed`] finds the
//! one that counts, [`intent`] says what a mail wants, [`inputs`] which
//! of its files come along, [`allow`] who may write at all.

pub mod address;
pub mod addressed;
pub mod allow;
pub mod bounce;
pub mod inputs;
pub mod intent;
pub mod letter;
pub mod noise;
pub mod reply;
pub mod token;
