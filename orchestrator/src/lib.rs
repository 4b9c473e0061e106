//! Plans, dispatches, records and applies.

pub mod adapter;
pub mod cli;
pub mod config;
pub mod digest;
pub mod doctor;
pub mod driver;
pub mod effects;
pub mod figures;
pub mod ledger;
pub mod mail;
pub mod paths;
pub mod people;
pub mod plan;
pub mod planfile;
pub mod policy;
pub mod port;
pub mod service;
pub mod supervise;
pub mod words;
