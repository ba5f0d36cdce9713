"""Instructor, which is about structured output and nothing else."""

from typing import Any

import instructor
from anthropic import Anthropic
from common import ANTHROPIC_MODEL, KEY, OPENAI_MODEL, PROMPT, TASK, URL, show
from openai import OpenAI
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: int


def main() -> None:
    messages: Any = [{"role": "user", "content": PROMPT}]
    if TASK["variant"] == "anthropic":
        client: Any = instructor.from_anthropic(Anthropic(base_url=URL, api_key=KEY, max_retries=0))
        more = {"model": ANTHROPIC_MODEL, "max_tokens": 999}
    else:
        client = instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0))
        more = {"model": OPENAI_MODEL}
    found = client.create(response_model=Weather, messages=messages, max_retries=0, **more)
    show([], found.model_dump())


main()
