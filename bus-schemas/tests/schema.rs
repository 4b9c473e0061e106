//! The published schemas follow the types: `cargo xtask schemas` writes them, this test fails while they differ.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::PathBuf};

use bus_schemas::{
    envelope::{Envelope, Message},
    stream,
    v1::{
        agent::{AttemptPaused, Checkpoint, TellAttempt},
        api,
        approval::{ApprovalAsked, Decision},
        call::{HostAnswer, HostCall},
        guest::{DataHeader, FromGuest, StreamAnswer, ToGuest},
        host::Beat,
        project::{ProjectChanged, TaskChanged},
        task::{AttemptFailed, CancelAttempt, Claimed, HandoffReady, LogChunk, Offer, Progress},
    },
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

fn published(name: &str, document: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(name);
    let text = serde_json::to_string_pretty(document).unwrap() + "\n";
    if std::env::var_os("BATON_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "docs/schemas/{name} does not follow the types: run `cargo xtask schemas`");
}

struct Channels {
    generator: SchemaGenerator,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Channels {
    /// One message: where it travels, who sends it, what carries it.
    fn add<T: Message + JsonSchema>(&mut self, address: &str, sender: &str, stream: &str) {
        let schema = self.generator.subschema_for::<Envelope<T>>();
        let name = T::KIND;
        let parameters: Map<String, Value> = address
            .split('.')
            .filter_map(|token| token.strip_prefix('{').and_then(|t| t.strip_suffix('}')))
            .map(|token| (token.to_owned(), json!({})))
            .collect();
        self.messages
            .insert(name.into(), json!({ "name": name, "contentType": "application/json", "payload": schema }));
        self.channels.insert(
            name.into(),
            json!({
                "address": address,
                "description": format!("from {sender}; {stream}"),
                "parameters": parameters,
                "messages": { name: { "$ref": format!("#/components/messages/{name}") } },
            }),
        );
        self.operations.insert(
            format!("send {name}"),
            json!({ "action": "send", "channel": { "$ref": format!("#/channels/{name}") }, "title": sender }),
        );
    }
}

#[test]
fn schema_of_the_bus_is_published() {
    let mut all = Channels {
        generator: SchemaSettings::draft2020_12()
            .with(|s| s.definitions_path = "/components/schemas".into())
            .into_generator(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
    };
    let attempt = "{project}.{task}.{attempt}";
    let events = format!("stream {}", stream::EVENTS.name);
    all.add::<Offer>(
        &format!("baton.v1.offer.{{pool}}.{attempt}"),
        "orchestrator",
        &format!("stream {}", stream::OFFERS.name),
    );
    all.add::<Claimed>(&format!("baton.v1.event.{attempt}.claimed"), "host", &events);
    all.add::<Progress>(&format!("baton.v1.event.{attempt}.progress"), "host", &events);
    all.add::<HandoffReady>(&format!("baton.v1.event.{attempt}.handoff"), "host", &events);
    all.add::<AttemptFailed>(&format!("baton.v1.event.{attempt}.failed"), "host", &events);
    all.add::<CancelAttempt>(
        &format!("baton.v1.control.{attempt}.cancel"),
        "orchestrator",
        &format!("stream {}", stream::CONTROL.name),
    );
    all.add::<AttemptPaused>(&format!("baton.v1.event.{attempt}.paused"), "host", &events);
    all.add::<TellAttempt>(
        &format!("baton.v1.control.{attempt}.tell"),
        "orchestrator",
        &format!("stream {}", stream::CONTROL.name),
    );
    all.add::<HostCall>("baton.v1.call", "host", "core NATS, request");
    all.add::<HostAnswer>("baton.v1.call", "orchestrator", "core NATS, reply");
    all.add::<LogChunk>(&format!("baton.v1.log.{attempt}"), "host", &format!("stream {}", stream::LOGS.name));
    all.add::<Beat>("baton.v1.host.{host}.beat", "host", "core NATS");
    let feed = format!("stream {}", stream::FEED.name);
    all.add::<ApprovalAsked>("baton.v1.feed.{project}.approval-asked", "orchestrator", &feed);
    all.add::<Decision>("baton.v1.feed.{project}.approval-decided", "orchestrator", &feed);
    all.add::<ProjectChanged>("baton.v1.feed.{project}.project-changed", "orchestrator", &feed);
    all.add::<TaskChanged>("baton.v1.feed.{project}.task-changed", "orchestrator", &feed);
    let schemas = all.generator.take_definitions(true);
    published(
        "asyncapi.json",
        &json!({
            "asyncapi": "3.0.0",
            "info": {
                "title": "Baton on the bus",
                "version": "1.0.0",
                "description": "Generated from the types in bus-schemas. Ids are lower-case UUIDs, attempts decimal numbers.",
            },
            "defaultContentType": "application/json",
            "channels": all.channels,
            "operations": all.operations,
            "components": { "messages": all.messages, "schemas": schemas },
        }),
    );
}

#[test]
fn schema_of_the_guest_channel_is_published() {
    let mut generator = generator();
    let (to, from, data) = (
        generator.subschema_for::<ToGuest>(),
        generator.subschema_for::<FromGuest>(),
        generator.subschema_for::<DataHeader>(),
    );
    let (answer, checkpoint) = (generator.subschema_for::<StreamAnswer>(), generator.subschema_for::<Checkpoint>());
    let definitions = generator.take_definitions(true);
    published(
        "guest.schema.json",
        &json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "The guest channel",
            "properties": { "to_guest": to, "from_guest": from, "data_header": data, "stream_answer": answer, "checkpoint": checkpoint },
            "$defs": definitions,
        }),
    );
}

#[test]
fn schema_of_the_api_is_published() {
    let mut generator = generator();
    let mut properties = Map::new();
    macro_rules! bodies {
        ($($name:ident),*) => {$( properties.insert(stringify!($name).into(), generator.subschema_for::<api::$name>().into()); )*};
    }
    bodies!(
        Problem,
        PlanSource,
        PlanReport,
        NewProject,
        ProjectView,
        ApprovalView,
        DecisionRequest,
        CancelRequest,
        ApplyRequest,
        UndoRequest,
        ApplyView,
        DiffView,
        FeedEvent,
        JournalEntry,
        HostView,
        Health,
        DeadLetterView,
        MailView,
        LetterView,
        LetterRequest,
        OutView,
        RebuildReport
    );
    let definitions = generator.take_definitions(true);
    published(
        "api.schema.json",
        &json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "The bodies of the HTTP API",
            "properties": properties,
            "$defs": definitions,
        }),
    );
}
