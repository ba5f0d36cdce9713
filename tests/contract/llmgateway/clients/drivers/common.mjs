// What every driver for node is given, the tools it offers, and how it says what its client showed: see common.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { createInterface } from "node:readline";

const installed = createRequire(process.env.CLIENTS + "/package.json");

export const SYSTEM = "You are a careful assistant.";
export const FOLLOW_UP = "Thank you. [[plain]]";

/** Imports a package of the clients' environment, which does not lie above this file. */
export async function load(name) {
  return import(pathToFileURL(installed.resolve(name)).href);
}

export function read(task) {
  const picture = readFileSync(task.picture).toString("base64");
  const thinks = task.feature === "thinking" || task.feature === "failover";
  const scene = { plain: "plain", stream: "plain" }[task.feature] ?? task.feature;
  return {
    ...task,
    thinks,
    image: picture,
    dataUrl: `data:image/png;base64,${picture}`,
    prompt: `Please do it: [[${scene}]]`,
    openaiModel: thinks ? "gpt-5" : "gpt-4.1",
    anthropicModel: "claude-sonnet-4-5",
    streams: { plain: [false], stream: [true], thinking: [false, true] }[task.feature] ?? [false, true],
    usesTools: task.feature === "tools" || task.feature === "failover",
  };
}

export const TOOLS = {
  get_weather: { parameter: "city", run: ({ city }) => `${city}: 21°` },
  get_time: { parameter: "zone", run: ({ zone }) => `noon in ${zone}` },
};

export function schemaOf(name) {
  const { parameter } = TOOLS[name];
  return {
    type: "object",
    properties: { [parameter]: { type: "string" } },
    required: [parameter],
    additionalProperties: false,
  };
}

export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};

/** Runs `main` for each task that comes in as a line. */
export async function serve(main) {
  const print = process.stdout.write.bind(process.stdout);
  for (const name of ["log", "info", "warn", "error"]) console[name] = () => {};
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const shown = await main(read(JSON.parse(line)));
      print(JSON.stringify({ status: 0, printed: JSON.stringify({ texts: [], ...shown }) }) + "\n");
    } catch (error) {
      const about = `${error?.stack ?? error}\n${JSON.stringify(error?.responseBody ?? error?.error ?? null)}`;
      print(JSON.stringify({ status: 1, printed: about }) + "\n");
    }
  }
}
