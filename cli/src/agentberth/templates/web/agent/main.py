"""Answers questions over HTTP: POST one to /ask, and the answer comes back as it is made."""

import os
from collections.abc import AsyncIterator

import uvicorn
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

model = AsyncOpenAI()


async def ask(request: Request) -> StreamingResponse:
    question = (await request.body()).decode(errors="replace")[:2000]
    stream = await model.chat.completions.create(
        model="auto", stream=True, messages=[{"role": "user", "content": question}]
    )

    async def words() -> AsyncIterator[str]:
        async for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


async def healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/ask", ask, methods=["POST"]), Route("/healthz", healthz)])

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), log_level="warning")
