// The openai package for node: chat completions and responses.
import { FOLLOW_UP, SYSTEM, TOOLS, WEATHER, load, schemaOf, serve } from "./common.mjs";

const { default: OpenAI } = await load("openai");

const chat = {
  begin: (task, content) => [{ role: "system", content: SYSTEM }, { role: "user", content }],
  user: (content) => ({ role: "user", content }),
  tools: Object.keys(TOOLS).map((name) => ({
    type: "function",
    function: { name, description: "A tool", parameters: schemaOf(name), strict: true },
  })),
  picture: (task) => [
    { type: "text", text: task.prompt },
    { type: "image_url", image_url: { url: task.dataUrl } },
  ],
  async ask(client, task, messages, stream, more) {
    const body = { model: task.openaiModel, messages, ...more };
    if (task.thinks) body.reasoning_effort = "medium";
    const completion = stream
      ? await client.chat.completions.stream(body).finalChatCompletion()
      : await client.chat.completions.create(body);
    const message = completion.choices[0].message;
    delete message.parsed;
    const results = (message.tool_calls ?? []).map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: TOOLS[call.function.name].run(JSON.parse(call.function.arguments)),
    }));
    for (const call of message.tool_calls ?? []) delete call.function.parsed_arguments;
    return { text: message.content, said: [message], results };
  },
  structured: { response_format: { type: "json_schema", json_schema: { name: "weather", schema: WEATHER, strict: true } } },
};

const responses = {
  begin: (task, content) => [{ role: "user", content }],
  user: (content) => ({ role: "user", content }),
  tools: Object.keys(TOOLS).map((name) => ({
    type: "function",
    name,
    description: "A tool",
    parameters: schemaOf(name),
    strict: true,
  })),
  picture: (task) => [
    { type: "input_text", text: task.prompt },
    { type: "input_image", image_url: task.dataUrl, detail: "auto" },
  ],
  async ask(client, task, input, stream, more) {
    const body = { model: task.openaiModel, instructions: SYSTEM, input, ...more };
    if (task.thinks) body.reasoning = { effort: "medium", summary: "auto" };
    const response = stream
      ? await client.responses.stream(body).finalResponse()
      : await client.responses.create(body);
    const said = response.output.map(({ parsed_arguments, ...item }) => ({
      ...item,
      ...(item.content && { content: item.content.map(({ parsed, ...part }) => part) }),
    }));
    const results = said
      .filter((item) => item.type === "function_call")
      .map((call) => ({
        type: "function_call_output",
        call_id: call.call_id,
        output: TOOLS[call.name].run(JSON.parse(call.arguments)),
      }));
    return { text: response.output_text, said, results };
  },
  structured: { text: { format: { type: "json_schema", name: "weather", schema: WEATHER, strict: true } } },
};

async function converse(client, task, api, stream, content) {
  const turns = api.begin(task, content);
  const more = task.usesTools ? { tools: api.tools } : {};
  for (;;) {
    const { text, said, results } = await api.ask(client, task, turns, stream, more);
    turns.push(...said, ...results);
    if (results.length) continue;
    if (task.feature === "pictures") return [text];
    turns.push(api.user(FOLLOW_UP));
    return [text, (await api.ask(client, task, turns, stream, more)).text];
  }
}

await serve(async (task) => {
  const client = new OpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key, maxRetries: 0 });
  const api = task.variant === "responses" ? responses : chat;
  if (task.feature === "structured") {
    const { text } = await api.ask(client, task, api.begin(task, task.prompt), false, api.structured);
    return { parsed: JSON.parse(text) };
  }
  const content = task.feature === "pictures" ? api.picture(task) : task.prompt;
  const texts = [];
  for (const stream of task.streams) texts.push(...(await converse(client, task, api, stream, content)));
  return { texts };
});
