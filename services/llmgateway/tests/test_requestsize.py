"""How large requests are to a model: what is text, what is media, and what lies elsewhere."""

import base64
import json
import struct
from typing import Any

import pytest

from agent_llmgateway.budget.metering import RequestBounds
from agent_llmgateway.wire.mediatokens import (
    LOW_DETAIL_TOKENS,
    MOST_PICTURE_TOKENS,
    PAGE_TOKENS,
    document_tokens,
    picture_size,
    picture_tokens,
    sound_tokens,
)
from agent_llmgateway.wire.requestsize import LONGEST_DOCUMENT_TOKENS, measure_request


def png(width: int, height: int, size: int = 100) -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0)
    return base64.b64encode(head + bytes(size)).decode()


JPEG = b"\xff\xd8\xff\xe1\x00\x06exif\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + bytes(20)
PICTURES = {
    "png": (base64.b64decode(png(640, 480)), (640, 480)),
    "gif": (b"GIF89a" + struct.pack("<HH", 64, 48) + bytes(9), (64, 48)),
    "jpeg": (JPEG, (640, 480)),
    "webp-vp8x": (
        b"RIFF....WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"),
        (640, 480),
    ),
    "webp-vp8l": (b"RIFF....WEBPVP8L" + bytes(4) + b"/" + struct.pack("<I", 639 | 479 << 14), (640, 480)),
    "webp-vp8": (b"RIFF....WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480), (640, 480)),
    "jpeg-cut": (JPEG[:12], None),
    "jpeg-wrong": (b"\xff\xd8" + bytes(40), None),
    "nothing": (b"", None),
    "text": (b"no picture at all", None),
    "no-size": (base64.b64decode(png(0, 0)), None),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_size_of_a_picture_is_in_its_head(name: str) -> None:
    raw, size = PICTURES[name]
    assert picture_size(raw) == size


def test_pictures_cost_by_their_size() -> None:
    assert picture_tokens(png(300, 300, 900_000), "anthropic") == 120
    assert picture_tokens(png(1024, 1024), "openai") == 765
    assert picture_tokens(png(2048, 4096), "openai") == 1105
    assert picture_tokens(png(4096, 8192), "openai", low_detail=True) == LOW_DETAIL_TOKENS
    assert picture_tokens(png(9000, 9000), "anthropic") == MOST_PICTURE_TOKENS
    assert picture_tokens("###", "anthropic") == MOST_PICTURE_TOKENS


def test_documents_cost_by_their_pages_and_sound_by_its_length() -> None:
    pages = base64.b64encode(b"%PDF /Type /Pages " + b"/Type /Page " * 3).decode()
    assert document_tokens(pages) == 3 * PAGE_TOKENS
    assert document_tokens(base64.b64encode(bytes(100_000)).decode()) == 6 * PAGE_TOKENS
    second = b"RIFF" + bytes(24) + struct.pack("<I", 48_000) + bytes(480_000)
    tokens, more = sound_tokens(base64.b64encode(second).decode())
    assert 100 <= tokens <= 110
    assert 2390 <= tokens + more <= 2420


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF" + b"\xff" * 60_000).decode()}},
        {"type": "file", "file": {"file_data": base64.b64encode(b"%PDF /Type /Page " + b"x" * 60_000).decode()}},
        {"type": "input_file", "file_data": "data:application/pdf;base64," + "QUJD" * 20_000},
    ],
    ids=["sound", "document", "compressed-document"],
)
def test_what_says_itself_that_it_is_short_reserves_what_it_may_be(part: dict[str, Any]) -> None:
    measured = measure_request(json.dumps(said(part)).encode(), "openai")
    least = 300 if "input_audio" in part else LONGEST_DOCUMENT_TOKENS
    assert measured.media_tokens < least <= measured.media_tokens + measured.doubtful_tokens
    bounds = RequestBounds(measured)
    assert bounds.most_reserved("m") >= bounds.most_input("m") + measured.doubtful_tokens


def size(family: Any = "openai", **body: Any) -> tuple[int, int, bool]:
    raw = json.dumps(body).encode()
    measured = measure_request(raw, family)
    return len(raw) - measured.text_bytes, measured.media_tokens, measured.is_open


def said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def test_media_is_no_text_where_the_apis_take_it() -> None:
    data = png(300, 300, 9000)
    url = f"data:image/png;base64,{data}"
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    assert size(**said({"type": "image_url", "image_url": {"url": url}})) == (len(url), 255, False)
    assert size(**said({"type": "image_url", "image_url": {"url": url, "detail": "low"}})) == (len(url), 85, False)
    assert size("anthropic", **said(block)) == (len(data), 120, False)
    assert size("anthropic", **said({"type": "tool_result", "content": [block]})) == (len(data), 120, False)
    assert size(input=[{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]) == (
        len(url),
        255,
        False,
    )
    assert (
        size(input=[{"type": "function_call_output", "output": [{"type": "input_image", "image_url": url}]}])[1] == 255
    )


def test_what_lies_elsewhere_counts_as_the_largest() -> None:
    assert size(**said({"type": "image_url", "image_url": {"url": "https://x/y.png"}}))[1] == MOST_PICTURE_TOKENS
    assert (
        size("anthropic", **said({"type": "image", "source": {"type": "url", "url": "https://x"}}))[1]
        == MOST_PICTURE_TOKENS
    )
    assert size(**said({"type": "file", "file": {"file_id": "file-1"}}))[1] == LONGEST_DOCUMENT_TOKENS
    assert (
        size("anthropic", **said({"type": "document", "source": {"type": "file", "file_id": "f"}}))[1]
        == LONGEST_DOCUMENT_TOKENS
    )
    spelt = b'{"messages":[{"role":"user","content":[{"type":"im\\u0061ge_url","image_url":{"url":"https://x/y"}}]}]}'
    assert measure_request(spelt, "openai").media_tokens == MOST_PICTURE_TOKENS


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "c"}},
        {"prompt": {"id": "p"}},
        {"container": "c"},
        {"tools": [{"type": "web_search"}]},
        {"web_search_options": {}},
        {"mcp_servers": [{"type": "url", "url": "https://x"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"input": [{"type": "item_reference", "id": "i"}]},
    ],
    ids=str,
)
def test_a_request_that_refers_to_what_is_kept_elsewhere_is_open(body: dict[str, Any]) -> None:
    assert size(**body)[2]


def test_text_is_text_however_it_is_dressed_up() -> None:
    long = "word " * 2000
    dressed = {"type": "image", "source": {"type": "base64", "data": long}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": dressed}}]
    assert size(tools=tools, **said({"type": "text", "text": "image_url"})) == (0, 0, False)
    assert size("anthropic", **said({"type": "tool_use", "id": "a", "name": "b", "input": dressed})) == (0, 0, False)
    assert size("anthropic", **said({"type": "document", "source": {"type": "text", "data": long}})) == (0, 0, False)
    assert measure_request(b'{"type":"image', "openai").text_bytes == 14
    assert measure_request(b'["image"]', "openai").text_bytes == 9
