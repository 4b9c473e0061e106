use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,",
    "\"cache_creation_input_tokens\":30,\"cache_read_input_tokens\":7,\"cache_creation\":{",
    "\"ephemeral_5m_input_tokens\":10,\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}}\r\n\r\n",
    ": a comment\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);
const CHAT: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"prompt_tokens_details\":",
    "{\"cached_tokens\":60},\"completion_tokens_details\":{\"reasoning_tokens\":5}}}\n\ndata: [DONE]\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi there\"}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":50,\"output_tokens\":9,",
    "\"input_tokens_details\":{\"cached_tokens\":8},\"output_tokens_details\":{\"reasoning_tokens\":4}}}}\n\n",
);

fn stream(wire: Wire, text: &str) -> Tap {
    let mut tap = Tap::new(wire, true);
    tap.feed(text.as_bytes());
    tap.end();
    tap
}

fn whole(wire: Wire, text: &str) -> Tap {
    let mut tap = Tap::new(wire, false);
    tap.feed(text.as_bytes());
    tap.end();
    tap
}

#[test]
fn every_wire_is_counted() {
    let messages = Tokens { input: 25, output: 15, cache_write_5m: 10, cache_write_1h: 20, cache_read: 7 };
    assert_eq!(stream(Wire::Messages, MESSAGES).tokens(999), messages);
    let chat = Tokens { input: 40, output: 20, cache_read: 60, ..Tokens::default() };
    assert_eq!(stream(Wire::ChatCompletions, CHAT).tokens(999), chat);
    let responses = Tokens { input: 42, output: 9, cache_read: 8, ..Tokens::default() };
    assert_eq!(stream(Wire::Responses, RESPONSES).tokens(999), responses);
    for (wire, text) in [(Wire::Messages, MESSAGES), (Wire::ChatCompletions, CHAT), (Wire::Responses, RESPONSES)] {
        assert!(stream(wire, text).is_whole());
    }
}

#[test]
fn whole_answers_are_counted_too() {
    let message = r#"{"type":"message","usage":{"input_tokens":3,"cache_creation_input_tokens":9,"output_tokens":4}}"#;
    let want = Tokens { input: 3, output: 4, cache_write_5m: 9, ..Tokens::default() };
    assert_eq!(whole(Wire::Messages, message).tokens(999), want);
    let chat = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#;
    assert_eq!(whole(Wire::ChatCompletions, chat).tokens(999), Tokens { input: 5, output: 6, ..Tokens::default() });
    let response = r#"{"usage":{"input_tokens":5,"output_tokens":6,"input_tokens_details":{"cached_tokens":5}}}"#;
    let want = Tokens { output: 6, cache_read: 5, ..Tokens::default() };
    assert_eq!(whole(Wire::Responses, response).tokens(999), want);
}

#[test]
fn a_cut_stream_is_paid_for_what_came() {
    let cut = |wire, text: &str, marker: &str| {
        let (before, _) = text.split_once(marker).unwrap();
        let mut tap = Tap::new(wire, true);
        tap.feed(before.as_bytes());
        assert!(!tap.is_whole());
        tap.tokens(100)
    };
    // The input was counted, the text has seven bytes.
    let messages = cut(Wire::Messages, MESSAGES, "data: {\"type\":\"message_delta\"");
    assert_eq!((messages.input, messages.output, messages.cache_read), (25, 3, 7));
    let chat = cut(Wire::ChatCompletions, CHAT, "data: {\"choices\":[{\"delta\":{},");
    assert_eq!((chat.input, chat.output), (100, 2));
    let responses = cut(Wire::Responses, RESPONSES, "data: {\"type\":\"response.completed\"");
    assert_eq!((responses.input, responses.output), (100, 3));
}

#[test]
fn an_answer_that_counts_nothing_is_estimated() {
    let tap = whole(Wire::ChatCompletions, r#"{"choices":[{"message":{"content":"abc"}}]}"#);
    assert_eq!(tap.tokens(100), Tokens { input: 100, output: 15, ..Tokens::default() });
    let broken = whole(Wire::ChatCompletions, r#"{"choices":[{"mess"#);
    assert_eq!(broken.tokens(100).output, 6);
    assert!(!broken.is_whole());
}

#[test]
fn an_error_with_nothing_before_it_costs_nothing() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"…"}}"#;
    assert_eq!(whole(Wire::Messages, error).tokens(100), Tokens::default());
    assert_eq!(stream(Wire::Messages, &format!("event: error\ndata: {error}\n\n")).tokens(100), Tokens::default());
    let late = MESSAGES.replace("{\"type\":\"message_delta\"", "{\"type\":\"error\",\"x\":\"message_delta\"");
    let tokens = stream(Wire::Messages, &late).tokens(100);
    assert_eq!((tokens.input, tokens.output), (25, 3));
}

#[test]
fn strange_counts_are_no_counts() {
    for usage in [r#"{"input_tokens":-1}"#, r#"{"input_tokens":"5"}"#, "[]", "7", "null", "{}"] {
        let tap = whole(Wire::Messages, &format!("{{\"usage\":{usage}}}"));
        assert_eq!(tap.tokens(100).input, 100, "{usage}");
    }
}

proptest! {
    #[test]
    fn cuts_between_frames_change_nothing(size in 1_usize..50) {
        for (wire, text) in [(Wire::Messages, MESSAGES), (Wire::ChatCompletions, CHAT), (Wire::Responses, RESPONSES)] {
            let mut tap = Tap::new(wire, true);
            for piece in text.as_bytes().chunks(size) {
                tap.feed(piece);
            }
            tap.end();
            prop_assert_eq!(tap.tokens(1), stream(wire, text).tokens(1));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), events in any::<bool>()) {
        let mut tap = Tap::new(Wire::Messages, events);
        tap.feed(&bytes);
        tap.end();
        let _ = tap.tokens(u64::MAX);
    }
}
