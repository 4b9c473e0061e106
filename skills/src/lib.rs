//! Agent Skills.
