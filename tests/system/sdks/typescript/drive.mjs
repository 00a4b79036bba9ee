// One call of one official SDK: a JSON command on stdin, one JSON result on stdout.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const QUESTION = "What is wet?";
const messages = [{ role: "user", content: QUESTION }];
const openaiChat = { model: "gpt-4o-mini", max_tokens: 100, messages };
const claude = { model: "claude-haiku-4-5", max_tokens: 100, messages };

function settings({ url, key, headers, retries }) {
  return { baseURL: url, apiKey: key, defaultHeaders: headers, maxRetries: retries ?? undefined };
}

const openai = {
  client: (c) => new OpenAI(settings(c)),
  async plain(client) {
    const answer = await client.chat.completions.create(openaiChat);
    const { prompt_tokens, completion_tokens } = answer.usage;
    return { text: answer.choices[0].message.content, input: prompt_tokens, output: completion_tokens };
  },
  async *stream(client) {
    for await (const chunk of await client.chat.completions.create({ ...openaiChat, stream: true })) {
      if (chunk.choices[0]?.delta?.content) yield chunk.choices[0].delta.content;
    }
  },
  async tool(client, { name, schema }) {
    const tools = [{ type: "function", function: { name, parameters: schema } }];
    const asked = { ...openaiChat, tools, tool_choice: "required" };
    const answer = await client.chat.completions.create(asked);
    return JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments);
  },
  async embed(client) {
    const asked = { model: "text-embedding-3-small", input: ["wet", "dry"] };
    return (await client.embeddings.create(asked)).data.length;
  },
  async file(client, { content }) {
    const file = await OpenAI.toFile(Buffer.from(content), "notes.txt");
    const made = await client.files.create({ file, purpose: "user_data" });
    const back = await (await client.files.content(made.id)).text();
    await client.files.delete(made.id);
    return back;
  },
};

const anthropic = {
  client: (c) => new Anthropic(settings(c)),
  async plain(client) {
    const answer = await client.messages.create(claude);
    const { input_tokens, output_tokens } = answer.usage;
    return { text: answer.content[0].text, input: input_tokens, output: output_tokens };
  },
  async *stream(client) {
    for await (const event of await client.messages.create({ ...claude, stream: true })) {
      if (event.delta?.type === "text_delta") yield event.delta.text;
    }
  },
  async tool(client, { name, schema }) {
    const tools = [{ name, input_schema: schema }];
    const answer = await client.messages.create({ ...claude, tools, tool_choice: { type: "any" } });
    return answer.content[0].input;
  },
};

const sdks = { openai, anthropic };

async function read(stdin) {
  let text = "";
  for await (const piece of stdin) text += piece;
  return JSON.parse(text);
}

async function drive(command) {
  const sdk = sdks[command.sdk];
  const client = sdk.client(command);
  if (command.call !== "stream") return sdk[command.call](client, command);
  for await (const text of sdk.stream(client)) {
    process.stdout.write(JSON.stringify({ text }) + "\n");
  }
  return null;
}

function ancestry(error) {
  const names = [];
  for (let at = error.constructor; at?.name; at = Object.getPrototypeOf(at)) names.push(at.name);
  return names;
}

try {
  const result = await drive(await read(process.stdin));
  process.stdout.write(JSON.stringify({ result }) + "\n");
} catch (error) {
  const { status, message } = error;
  process.stdout.write(JSON.stringify({ error: ancestry(error), status, message }) + "\n");
}
