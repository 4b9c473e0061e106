//! The process in the guest.
