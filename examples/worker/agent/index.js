// A worker: inbox/*.json in the workspace are its tasks, outbox/ has what became of them.
const fs = require("node:fs/promises");
const path = require("node:path");

const INBOX = path.join(process.env.AGENT_WORKSPACE, "inbox");
const OUTBOX = path.join(process.env.AGENT_WORKSPACE, "outbox");
let going = true;
process.on("SIGTERM", () => (going = false));

// Tools are one POST away, without any client.
async function call(tool, args) {
  const answer = await fetch(`${process.env.TOOL_PROXY_URL}/v1/tools/${tool}:run`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ arguments: args }),
  });
  if (!answer.ok) throw new Error(`${tool}: ${(await answer.text()).trim()}`);
  return (await answer.json()).structuredContent.stdout.trim();
}

async function handle(name) {
  const taken = path.join(OUTBOX, `${name}.taken`);
  await fs.rename(path.join(INBOX, name), taken); // whoever moves it has it
  const { text } = JSON.parse(await fs.readFile(taken, "utf8"));
  const id = await call("git", { args: ["hash-object", "--stdin"], stdin: text });
  await fs.writeFile(`${taken}.new`, JSON.stringify({ id, lines: text.split("\n").length - 1 }) + "\n");
  await fs.rename(`${taken}.new`, path.join(OUTBOX, name));
  await fs.unlink(taken);
  console.log(`${name}: ${id}`);
}

async function main() {
  await fs.mkdir(INBOX, { recursive: true });
  await fs.mkdir(OUTBOX, { recursive: true });
  console.log(`waiting for tasks in ${INBOX}`);
  while (going) {
    for (const name of (await fs.readdir(INBOX)).filter((each) => each.endsWith(".json")).sort()) {
      await handle(name).catch((error) => console.error(`${name}: ${error.message}`));
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

main();
