// One client of MCP for node, unmodified: `node node_client.mjs CLIENT URL CALLS`. CALLS and the output are those of
// python_client.py.
import { execFileSync } from "node:child_process";

const [, , client, url, calls] = process.argv;

async function typescriptSdk() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const made = new Client({ name: "matrix", version: "1" });
  await made.connect(new StreamableHTTPClientTransport(new URL(url)));
  const names = (await made.listTools()).tools.map((tool) => tool.name);
  return { names, call: async (name, args) => (await made.callTool({ name, arguments: args })).content };
}

async function aiSdk() {
  const { createMCPClient } = await import("@ai-sdk/mcp");
  const made = await createMCPClient({ transport: { type: "http", url } });
  const tools = await made.tools();
  return {
    names: Object.keys(tools),
    call: (name, args) => tools[name].execute(args, { toolCallId: "1", messages: [] }),
  };
}

async function inspector() {
  const launcher = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
  const ask = (...args) => {
    const command = [launcher, "--cli", url, "--transport", "http", "--method", ...args];
    return JSON.parse(execFileSync(process.execPath, command, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
  };
  const spell = ([name, value]) => ["--tool-arg", `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
  return {
    names: ask("tools/list").tools.map((tool) => tool.name),
    call: (name, args) => ask("tools/call", "--tool-name", name, ...Object.entries(args).flatMap(spell)).content,
  };
}

const used = await { "typescript-sdk": typescriptSdk, "ai-sdk": aiSdk, inspector }[client]();
const found = {};
for (const [server, [name, args]] of Object.entries(JSON.parse(calls))) {
  try {
    const said = used.names.includes(name) ? JSON.stringify(await used.call(name, args)) : `error: ${name} is not listed`;
    found[server] = said.slice(0, 2000);
  } catch (error) {
    found[server] = `error: ${error}`.slice(0, 2000);
  }
}
console.log(JSON.stringify(found));
process.exit(0);
