//! Speaking to NATS. (Filled in by a later commit.)
