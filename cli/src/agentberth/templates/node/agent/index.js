// Answers questions over HTTP: POST one to /ask.
const http = require("node:http");
const { OpenAI } = require("openai");

const model = new OpenAI();
const MOST_CHARACTERS = 10_000;

async function read(request) {
  let text = "";
  for await (const piece of request) {
    text += piece;
    if (text.length > MOST_CHARACTERS) throw Object.assign(new Error("too long"), { status: 413 });
  }
  return text;
}

async function answer(question) {
  const completion = await model.chat.completions.create({
    model: "auto",
    messages: [{ role: "user", content: question }],
  });
  return completion.choices[0].message.content;
}

const server = http.createServer(async (request, response) => {
  const send = (status, text) => {
    response.writeHead(status, { "content-type": "text/plain" });
    response.end(text);
  };
  try {
    if (request.url === "/healthz") return send(200, "ok");
    if (request.method !== "POST" || request.url !== "/ask") return send(404, "POST /ask");
    send(200, await answer(await read(request)));
  } catch (error) {
    send(error.status ?? 502, error.message);
  }
});

server.listen(Number(process.env.PORT), () => console.log(`listening on ${process.env.PORT}`));
process.on("SIGTERM", () => server.close());
