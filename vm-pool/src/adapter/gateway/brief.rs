//! What an agent needs to know of a model, where the settings say nothing: by vendor and family.

use bus_schemas::{
    settings::{ModelSettings, ProviderKind},
    v1::agent::{ModelBrief, Wire},
};

/// Context window and longest answer, in tokens, by the beginning of the name; the first that fits counts.
const FAMILIES: [(ProviderKind, &str, u32, u32); 21] = [
    (ProviderKind::Anthropic, "claude-opus-4-1", 200_000, 32_000),
    (ProviderKind::Anthropic, "claude-opus-4-2", 200_000, 32_000),
    (ProviderKind::Anthropic, "claude-opus-4-0", 200_000, 32_000),
    (ProviderKind::Anthropic, "claude-opus-4", 200_000, 64_000),
    (ProviderKind::Anthropic, "claude-sonnet-4", 200_000, 64_000),
    (ProviderKind::Anthropic, "claude-haiku-4", 200_000, 64_000),
    (ProviderKind::Anthropic, "claude-3-7", 200_000, 64_000),
    (ProviderKind::Anthropic, "claude-3-5", 200_000, 8_192),
    (ProviderKind::Anthropic, "claude-3-", 200_000, 4_096),
    (ProviderKind::Anthropic, "", 200_000, 32_000),
    (ProviderKind::Openai, "gpt-5", 400_000, 128_000),
    (ProviderKind::Openai, "gpt-4.1", 1_047_576, 32_768),
    (ProviderKind::Openai, "gpt-4o", 128_000, 16_384),
    (ProviderKind::Openai, "gpt-4-turbo", 128_000, 4_096),
    (ProviderKind::Openai, "gpt-4", 8_192, 4_096),
    (ProviderKind::Openai, "gpt-3.5", 16_385, 4_096),
    (ProviderKind::Openai, "o1", 200_000, 100_000),
    (ProviderKind::Openai, "o3", 200_000, 100_000),
    (ProviderKind::Openai, "o4", 200_000, 100_000),
    (ProviderKind::Openai, "", 128_000, 16_384),
    // What servers at home often run with.
    (ProviderKind::OpenaiCompatible, "", 32_768, 4_096),
];

/// The brief of `full_name`, which its provider knows as `model`.
pub(super) fn brief(full_name: &str, model: &str, kind: ProviderKind, settings: Option<&ModelSettings>) -> ModelBrief {
    let found = FAMILIES.iter().find(|(of, prefix, ..)| *of == kind && model.starts_with(prefix));
    let (context, output) = found.map_or((32_768, 4_096), |(_, _, context, output)| (*context, *output));
    let empty = ModelSettings::default();
    let settings = settings.unwrap_or(&empty);
    let context_tokens = settings.context_tokens.unwrap_or(context);
    // An answer cannot be longer than the window; a small window leaves half of it for the question.
    let max_output_tokens = settings.max_output_tokens.unwrap_or_else(|| output.min(context_tokens / 2)).max(1);
    ModelBrief {
        name: full_name.to_owned(),
        wire: settings.wire.unwrap_or_else(|| wire(kind, model)),
        context_tokens,
        max_output_tokens,
        structured: settings.structured.unwrap_or_default(),
        caching: kind == ProviderKind::Anthropic,
    }
}

fn wire(kind: ProviderKind, model: &str) -> Wire {
    match kind {
        ProviderKind::Anthropic => Wire::Messages,
        // These are served on no other wire.
        ProviderKind::Openai if ["codex", "-pro", "deep-research"].iter().any(|part| model.contains(part)) => {
            Wire::Responses
        }
        ProviderKind::Openai | ProviderKind::OpenaiCompatible => Wire::ChatCompletions,
    }
}

#[cfg(test)]
mod tests {
    use bus_schemas::v1::agent::Structured;

    use super::*;

    #[test]
    fn defaults_follow_vendor_and_family() {
        let sonnet = brief("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5", ProviderKind::Anthropic, None);
        assert_eq!((sonnet.wire, sonnet.context_tokens, sonnet.max_output_tokens), (Wire::Messages, 200_000, 64_000));
        assert!(sonnet.caching);
        assert_eq!(brief("a", "claude-opus-4-20250514", ProviderKind::Anthropic, None).max_output_tokens, 32_000);
        assert_eq!(brief("a", "claude-opus-4-5", ProviderKind::Anthropic, None).max_output_tokens, 64_000);
        assert_eq!(brief("o", "gpt-5-codex", ProviderKind::Openai, None).wire, Wire::Responses);
        let local = brief("endpoint/qwen", "qwen", ProviderKind::OpenaiCompatible, None);
        assert_eq!((local.wire, local.context_tokens, local.caching), (Wire::ChatCompletions, 32_768, false));
    }

    #[test]
    fn the_settings_win() {
        let settings = ModelSettings {
            context_tokens: Some(2_048),
            wire: Some(Wire::Responses),
            structured: Some(Structured::JsonSchema),
            ..ModelSettings::default()
        };
        let found = brief("endpoint/smol", "smol", ProviderKind::OpenaiCompatible, Some(&settings));
        assert_eq!((found.context_tokens, found.max_output_tokens), (2_048, 1_024));
        assert_eq!((found.wire, found.structured), (Wire::Responses, Structured::JsonSchema));
    }
}
