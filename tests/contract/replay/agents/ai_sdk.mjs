// The AI SDK, as its readers write an agent: nothing in it knows of Agentberth but the address of its models.
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { generateText, jsonSchema, stepCountIs, streamText, tool } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const get_weather = tool({
  description: "The weather of a city.",
  inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
  execute: async ({ city }) => `${city}: 21 degrees`,
});
const result = streamText({
  model: openai("gpt-4.1"), prompt: "How warm is it in Zürich?", tools: { get_weather }, stopWhen: stepCountIs(4),
});
await result.consumeStream();
console.log(await result.text);
