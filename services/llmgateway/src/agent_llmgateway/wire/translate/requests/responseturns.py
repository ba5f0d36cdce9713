"""Items of a responses request as turns of a chat completion."""

from typing import Any, Final

import msgspec

from agent_llmgateway.wire.translate.base import Target, decode_request, refuse
from agent_llmgateway.wire.translate.requests.responseschema import (
    ITEMS,
    CallItem,
    CustomCallItem,
    CustomResultItem,
    InputFile,
    InputImage,
    InputText,
    Item,
    MessageItem,
    OutputText,
    ReasoningItem,
    ReferenceItem,
    Refusal,
    ResponsesRequest,
    ResultItem,
    WebSearchItem,
)
from agent_llmgateway.wire.translate.requests.responsetools import INPUT, function_name
from agent_llmgateway.wire.translate.toolids import portable_id

Document = dict[str, Any]
TO: Final = "chat completions"
Part = InputText | InputImage | InputFile | OutputText | Refusal


def make_turns(request: ResponsesRequest, target: Target) -> list[Document]:
    """Raises NotCarriedError."""
    turns: list[Document] = []
    if request.instructions:
        turns.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*turns, {"role": "user", "content": request.input}]
    beside: list[Document] = []
    for index, raw in enumerate(request.input):
        where = f"input[{index}]"
        item = _read_item(bytes(raw), where, target)
        if isinstance(item, ReferenceItem):
            item = _look_up(item, where, target)
        if beside and not isinstance(item, ResultItem | CustomResultItem):
            turns.append({"role": "user", "content": beside})
            beside = []
        _add_item(turns, item, where, target, beside)
    return [*turns, {"role": "user", "content": beside}] if beside else turns


def _add_item(turns: list[Document], item: Item, where: str, target: Target, beside: list[Document]) -> None:
    """Add what `item` says; what no turn of a tool can hold goes `beside` the results."""
    if isinstance(item, CallItem):
        _add_call(turns, item.call_id, function_name(item.name, item.namespace), item.arguments)
    elif isinstance(item, CustomCallItem):
        arguments = msgspec.json.encode({INPUT: item.input}).decode()
        _add_call(turns, item.call_id, function_name(item.name, item.namespace), arguments)
    elif isinstance(item, ResultItem | CustomResultItem):
        content = item.output if isinstance(item.output, str) else _result_parts(item.output, where, target, beside)
        turns.append({"role": "tool", "tool_call_id": portable_id(item.call_id), "content": content})
    elif isinstance(item, ReasoningItem):
        target.drop("reasoning")
    elif isinstance(item, WebSearchItem):
        target.drop("web_search_call")
    elif isinstance(item, MessageItem):
        turns.append(_message(item, f"{where}.content", target))


def _read_item(raw: bytes, where: str, target: Target) -> Item:
    """An item; a turn may leave out its `type`."""
    try:
        item: Item = ITEMS.decode(raw)
    except msgspec.ValidationError as error:
        if "missing required field `type`" in str(error):
            raw = msgspec.json.encode({"type": "message", **msgspec.json.decode(raw)})
        elif "unknown field" not in str(error):
            refuse(f"{where} cannot be carried to {TO}: {error}", where)
    except (msgspec.DecodeError, RecursionError) as error:
        refuse(f"{where}: {error}", where)
    else:
        return item
    mended: Item = decode_request(ITEMS, raw, target, TO)
    return mended


def _look_up(reference: ReferenceItem, where: str, target: Target) -> Item:
    document = target.items.find(reference.id)
    if document is None:
        refuse(f"{where}: the item `{reference.id[:80]}` is not one that the gateway still has", f"{where}.id")
    return _read_item(msgspec.json.encode(document), where, target)


def _add_call(turns: list[Document], call_id: str, name: str, arguments: str) -> None:
    """Calls belong to the assistant's turn before them."""
    call = {"id": portable_id(call_id), "type": "function", "function": {"name": name, "arguments": arguments}}
    if turns and turns[-1]["role"] == "assistant":
        turns[-1].setdefault("tool_calls", []).append(call)
    else:
        turns.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _message(item: MessageItem, where: str, target: Target) -> Document:
    role = "system" if item.role == "developer" else item.role
    if isinstance(item.content, str):
        return {"role": role, "content": item.content}
    parts = [_part(part, f"{where}[{index}]", target) for index, part in enumerate(item.content)]
    if role != "user" and any(part["type"] != "text" for part in parts):
        refuse(f"{where}: a picture or document of the {role} cannot be carried to {TO}", where)
    return {"role": role, "content": parts}


def _result_parts(
    output: list[InputText | InputImage | InputFile | OutputText], where: str, target: Target, beside: list[Document]
) -> str | list[Document]:
    parts = [_part(part, f"{where}.output[{index}]", target) for index, part in enumerate(output)]
    texts = [part for part in parts if part["type"] == "text"]
    beside += [part for part in parts if part["type"] != "text"]
    return texts or ""


def _part(part: Part, where: str, target: Target) -> Document:
    if isinstance(part, InputImage):
        if not part.image_url:
            refuse(f"{where}: a picture that a provider keeps cannot be carried to {TO}", f"{where}.file_id")
        if part.detail not in (None, "auto"):
            target.drop("input_image.detail")
        return {"type": "image_url", "image_url": {"url": part.image_url}}
    if isinstance(part, InputFile):
        if not part.file_data:
            refuse(f"{where}: only a document with its `file_data` can be carried to {TO}", where)
        return {"type": "file", "file": {"filename": part.filename or "document.pdf", "file_data": part.file_data}}
    return {"type": "text", "text": part.refusal if isinstance(part, Refusal) else part.text}
