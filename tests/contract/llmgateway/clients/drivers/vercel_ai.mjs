// The Vercel AI SDK with its providers for OpenAI (responses by default), Anthropic and compatible servers.
import { FOLLOW_UP, SYSTEM, TOOLS, WEATHER, load, schemaOf, serve } from "./common.mjs";

const ai = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createAnthropic } = await load("@ai-sdk/anthropic");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

function modelOf(task) {
  const openai = { baseURL: `${task.url}/v1`, apiKey: task.key };
  if (task.variant === "anthropic") return createAnthropic(openai)(task.anthropicModel);
  if (task.variant === "compatible") {
    return createOpenAICompatible({ ...openai, name: "gateway", supportsStructuredOutputs: true })(task.openaiModel);
  }
  return task.variant === "chat" ? createOpenAI(openai).chat(task.openaiModel) : createOpenAI(openai)(task.openaiModel);
}

function optionsOf(task) {
  if (!task.thinks) return {};
  return {
    providerOptions: {
      openai: { reasoningEffort: "medium", ...(task.variant === "responses" && { reasoningSummary: "auto" }) },
      anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } },
      gateway: { reasoningEffort: "medium" },
    },
  };
}

const tools = Object.fromEntries(
  Object.entries(TOOLS).map(([name, { run }]) => [
    name,
    ai.tool({ description: "A tool", inputSchema: ai.jsonSchema(schemaOf(name)), execute: async (input) => run(input) }),
  ]),
);

async function ask(task, messages, stream) {
  let failed;
  const body = {
    model: modelOf(task),
    instructions: SYSTEM,
    messages,
    maxRetries: 0,
    stopWhen: ai.stepCountIs(8),
    ...(task.usesTools && { tools }),
    ...optionsOf(task),
  };
  if (!stream) {
    const result = await ai.generateText(body);
    return { text: result.text, said: (await result.response).messages };
  }
  const result = ai.streamText({ ...body, onError: ({ error }) => (failed = error) });
  await result.consumeStream();
  if (failed) throw failed;
  return { text: await result.text, said: (await result.response).messages };
}

await serve(async (task) => {
  if (task.feature === "structured") {
    const { output } = await ai.generateText({
      model: modelOf(task),
      prompt: task.prompt,
      maxRetries: 0,
      output: ai.Output.object({ schema: ai.jsonSchema(WEATHER) }),
    });
    return { parsed: output };
  }
  const picture = { type: "image", image: Buffer.from(task.image, "base64"), mediaType: "image/png" };
  const content = task.feature === "pictures" ? [{ type: "text", text: task.prompt }, picture] : task.prompt;
  const texts = [];
  for (const stream of task.streams) {
    const messages = [{ role: "user", content }];
    const first = await ask(task, messages, stream);
    texts.push(first.text);
    if (task.feature === "pictures") continue;
    texts.push((await ask(task, [...messages, ...first.said, { role: "user", content: FOLLOW_UP }], stream)).text);
  }
  return { texts };
});
