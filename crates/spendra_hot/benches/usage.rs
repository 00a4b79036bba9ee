//! How fast streams are metered and usage is hidden: bytes per second, in chunks as they arrive.
#![allow(clippy::arithmetic_side_effects, clippy::format_push_string)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use spendra_hot::usage::{Dialect, Meter, UsageHider};

const CHUNK: usize = 16 << 10;
const EVENTS: usize = 40_000;

fn main() {
    divan::main();
}

fn chat(include_usage: bool) -> Vec<u8> {
    let usage = if include_usage { ",\"usage\":null" } else { "" };
    let mut stream = String::new();
    for number in 0..EVENTS {
        let choice = format!(
            "{{\"index\":0,\"delta\":{{\"content\":\" word{}\"}},\"logprobs\":null,\"finish_reason\":null}}",
            number % 97
        );
        stream.push_str(&format!("data: {{\"id\":\"chatcmpl-BDA7OEUOiPJr6S3fbWdwAE3GbR2n5\",\"object\":\"chat.completion.chunk\",\"created\":1742476858,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_f9f4fb6dbf\",\"choices\":[{choice}]{usage}}}\n\n"));
    }
    if include_usage {
        stream.push_str("data: {\"id\":\"chatcmpl-BDA7OEUOiPJr6S3fbWdwAE3GbR2n5\",\"choices\":[],\"usage\":{\"prompt_tokens\":13,\"completion_tokens\":43,\"total_tokens\":56}}\n\n");
    }
    stream.push_str("data: [DONE]\n\n");
    stream.into_bytes()
}

fn anthropic() -> Vec<u8> {
    let mut stream = String::from(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n",
    );
    for number in 0..EVENTS {
        stream.push_str(&format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\" word{}\"}}       }}\n\n", number % 97));
    }
    stream.push_str("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":43}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    stream.into_bytes()
}

fn responses() -> Vec<u8> {
    let mut stream = String::new();
    for number in 0..EVENTS {
        stream.push_str(&format!("event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{number},\"item_id\":\"msg_0ca3f598125653cf01693c1f2b\",\"output_index\":0,\"content_index\":0,\"delta\":\" word{}\",\"logprobs\":[],\"obfuscation\":\"abcdefgh\"}}\n\n", number % 97));
    }
    stream.push_str("event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":47,\"output_tokens\":213}}}\n\n");
    stream.into_bytes()
}

fn gemini() -> Vec<u8> {
    let mut stream = String::new();
    for number in 0..EVENTS {
        stream.push_str(&format!("data: {{\"candidates\": [{{\"content\": {{\"parts\": [{{\"text\": \" a longer piece of text, as Gemini sends, number {number}\"}}],\"role\": \"model\"}},\"index\": 0}}],\"usageMetadata\": {{\"promptTokenCount\": 14,\"candidatesTokenCount\": {number},\"totalTokenCount\": 783,\"promptTokensDetails\": [{{\"modality\": \"TEXT\",\"tokenCount\": 14}}]}},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"n1P6abvRFaKdz7IPkcuQ2Aw\"}}\r\n\r\n"));
    }
    stream.into_bytes()
}

fn meter(bencher: Bencher, dialect: Dialect, stream: &[u8]) {
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut meter = Meter::new(dialect, true);
            stream
                .chunks(CHUNK)
                .for_each(|chunk| meter.feed(black_box(chunk)));
            meter.finish()
        });
}

#[divan::bench]
fn meter_chat(bencher: Bencher) {
    meter(bencher, Dialect::OpenAi, &chat(false));
}

#[divan::bench]
fn meter_chat_with_usage(bencher: Bencher) {
    meter(bencher, Dialect::OpenAi, &chat(true));
}

#[divan::bench]
fn meter_anthropic(bencher: Bencher) {
    meter(bencher, Dialect::Anthropic, &anthropic());
}

#[divan::bench]
fn meter_responses(bencher: Bencher) {
    meter(bencher, Dialect::OpenAi, &responses());
}

#[divan::bench]
fn meter_gemini(bencher: Bencher) {
    meter(bencher, Dialect::Google, &gemini());
}

#[divan::bench]
fn hide_usage(bencher: Bencher) {
    let stream = chat(true);
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut hider = UsageHider::default();
            stream
                .chunks(CHUNK)
                .map(|chunk| hider.feed(black_box(chunk)).len())
                .sum::<usize>()
        });
}
