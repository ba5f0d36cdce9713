// An API server: a line of free text becomes a record, by a tool call of a model.
const http = require("node:http");
const { OpenAI } = require("openai");

const model = new OpenAI();
const LANDING = {
  type: "function",
  function: {
    name: "note_landing",
    parameters: {
      type: "object",
      properties: { boat: { type: "string" }, fish: { type: "string" }, kg: { type: "number" } },
      required: ["boat", "fish", "kg"],
    },
  },
};

async function read(text) {
  const answer = await model.chat.completions.create({
    model: "auto",
    messages: [{ role: "user", content: text }],
    tools: [LANDING],
    tool_choice: "required",
  });
  return JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments);
}

async function body(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > 10_000) throw Object.assign(new Error("too long"), { status: 413 });
  }
  try {
    return String(JSON.parse(text).text);
  } catch {
    throw Object.assign(new Error('send {"text": "..."}'), { status: 400 });
  }
}

const server = http.createServer(async (request, response) => {
  const send = (status, document) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(document) + "\n");
  };
  try {
    if (request.url === "/healthz") return send(200, { ok: true });
    if (request.method !== "POST" || request.url !== "/landings") return send(404, { error: "POST /landings" });
    send(200, await read(await body(request)));
  } catch (error) {
    send(error.status ?? 502, { error: error.message });
  }
});

server.listen(Number(process.env.PORT), () => console.log(`listening on ${process.env.PORT}`));
process.on("SIGTERM", () => server.close());
