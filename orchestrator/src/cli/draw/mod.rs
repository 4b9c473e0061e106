//! Pictures of a plan: as text for a terminal, as SVG for anything else. Pure: a plan and its layers in, text out.

mod layout;
mod marks;
mod svg;
mod text;

#[cfg(test)]
mod tests;

pub use svg::svg;
pub use text::text;
