// The @anthropic-ai/sdk package.
import { FOLLOW_UP, SYSTEM, TOOLS, WEATHER, load, schemaOf, serve } from "./common.mjs";

const { default: Anthropic } = await load("@anthropic-ai/sdk");
const tools = Object.keys(TOOLS).map((name) => ({ name, description: "A tool", input_schema: schemaOf(name) }));
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

async function ask(client, task, messages, stream, more = {}) {
  const body = { model: task.anthropicModel, max_tokens: 4096, system: SYSTEM, messages, ...more };
  if (task.thinks) body.thinking = { type: "enabled", budget_tokens: 1024 };
  return stream ? client.messages.stream(body).finalMessage() : client.messages.create(body);
}

async function converse(client, task, stream, content) {
  const messages = [{ role: "user", content }];
  const more = task.usesTools ? { tools } : {};
  for (;;) {
    const message = await ask(client, task, messages, stream, more);
    messages.push({ role: "assistant", content: message.content });
    const uses = message.content.filter((block) => block.type === "tool_use");
    if (uses.length) {
      const results = uses.map((use) => ({
        type: "tool_result",
        tool_use_id: use.id,
        content: TOOLS[use.name].run(use.input),
      }));
      messages.push({ role: "user", content: results });
      continue;
    }
    if (task.feature === "pictures") return [textOf(message)];
    messages.push({ role: "user", content: FOLLOW_UP });
    return [textOf(message), textOf(await ask(client, task, messages, stream, more))];
  }
}

await serve(async (task) => {
  const client = new Anthropic({ baseURL: task.url, apiKey: task.key, maxRetries: 0 });
  if (task.feature === "structured") {
    const format = { output_config: { format: { type: "json_schema", schema: WEATHER } } };
    return { parsed: JSON.parse(textOf(await ask(client, task, [{ role: "user", content: task.prompt }], false, format))) };
  }
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: task.image } };
  const content = task.feature === "pictures" ? [{ type: "text", text: task.prompt }, picture] : task.prompt;
  const texts = [];
  for (const stream of task.streams) texts.push(...(await converse(client, task, stream, content)));
  return { texts };
});
