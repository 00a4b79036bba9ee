//! Input tokens of a chat completions body.

use serde::Deserialize;
use serde_json::Value;

use super::count;
use crate::error::Unusable;

/// Each message is framed by three tokens, and the reply is primed with three.
const PER_MESSAGE: u64 = 3;
const PER_NAME: u64 = 1;
const PER_REPLY: u64 = 3;

#[derive(Deserialize)]
struct Chat {
    messages: Vec<Message>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    functions: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
    #[serde(default)]
    function_call: Option<Value>,
}

/// Texts exactly, framing by the rule of OpenAI's cookbook, tool definitions approximately:
/// as the tokens of their JSON, since the form in which the model sees them is not published.
pub fn count_chat(body: &[u8], model: &str) -> Result<u64, Unusable> {
    let chat: Chat = serde_json::from_slice(body)
        .map_err(|error| Unusable::new(format!("not a chat completions body: {error}")))?;
    let messages = chat.messages.iter().map(|message| message.tokens(model));
    let tools = chat.tools.iter().chain(&chat.functions).flatten();
    let tools = tools.map(|tool| count(&tool.to_string(), model));
    Ok(messages.chain(tools).fold(PER_REPLY, u64::saturating_add))
}

impl Message {
    fn tokens(&self, model: &str) -> u64 {
        let name = self.name.as_ref().map_or(0, |_| PER_NAME);
        let mut texts = vec![self.role.as_str()];
        texts.extend(self.name.as_deref());
        texts.extend(self.refusal.as_deref());
        part_texts(&self.content, &mut texts);
        let calls = self
            .tool_calls
            .iter()
            .flatten()
            .filter_map(|call| call.get("function"));
        calls
            .chain(&self.function_call)
            .for_each(|call| call_texts(call, &mut texts));
        let counts = texts.into_iter().map(|text| count(text, model));
        counts.fold(PER_MESSAGE.saturating_add(name), u64::saturating_add)
    }
}

/// A content is a text, or parts of which the text parts count.
fn part_texts<'a>(content: &'a Value, texts: &mut Vec<&'a str>) {
    match content {
        Value::String(text) => texts.push(text),
        Value::Array(parts) => {
            for part in parts {
                let text = part.get("text").or_else(|| part.get("refusal"));
                texts.extend(text.and_then(Value::as_str));
            }
        }
        _ => {}
    }
}

fn call_texts<'a>(call: &'a Value, texts: &mut Vec<&'a str>) {
    texts.extend(call.get("name").and_then(Value::as_str));
    texts.extend(call.get("arguments").and_then(Value::as_str));
}
