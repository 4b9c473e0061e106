//! The JSON Schema of plan files, for editors: generated from the wire types.

use bus_schemas::v1::plan::Plan;
use schemars::generate::SchemaSettings;

/// The JSON Schema (draft 2020-12) of a plan file, as it is committed to `docs/schemas/plan.schema.json`.
#[must_use]
pub fn json_schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Plan>();
    let mut text = format!("{:#}", schema.as_value());
    text.push('\n');
    text
}
