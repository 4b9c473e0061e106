//! Streams as providers send them, good and bad.
