"""One line per event on stdout: JSON for machines, coloured text for a terminal.

Redaction is in the formatter, the last code before the stream, and works on the values before they are
encoded: no logger, no third-party library and no exception can go round it, and a masked line is still JSON.
"""

import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, TextIO

from agent_base.redaction import Redactor

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "text"]

LONGEST_FIELD: Final = 8192
"""Characters of one field; what is longer is cut, because container runtimes split lines at 16 KiB."""

_LONGEST_READ: Final = 65536  # characters that are searched for secrets; a line must not hold up the event loop
_LONGEST_SECRET: Final = 4096  # characters that a secret which the cut has split may take up at its end
_DEEPEST: Final = 6  # levels of a nested field that are kept apart; what is deeper is printed as text
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_OURS: Final = frozenset({"time", "level", "logger", "message", "exception", "stack"})
_COLOURS: Final = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"

_bound: ContextVar[Mapping[str, object]] = ContextVar("agent_kit_log_fields", default={})  # noqa: B039 - never mutated


@dataclass(frozen=True)
class LogSettings:
    """What is logged, and how it looks. `auto` is text on a terminal and JSON elsewhere.

    `fields` say whose log it is. They are in every JSON line, unless its record has its own of that name; a person who
    reads text knows.
    """

    level: LogLevel = "info"
    format: LogFormat = "auto"
    fields: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add `fields` to every record logged inside, over awaits and in tasks that are started there."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bound() -> Mapping[str, object]:
    """What `bind` adds to records here, for a line that is written later."""
    return _bound.get()


def configure(settings: LogSettings, redactor: Redactor, *, stream: TextIO | None = None) -> None:
    """Send every logger's records to `stream` (stdout); replaces what was configured before.

    Warnings of the `warnings` module become records too.
    """
    out = sys.stdout if stream is None else stream
    on_terminal = out.isatty()
    as_text = settings.format == "text" or (settings.format == "auto" and on_terminal)
    handler = _LineHandler(out)
    if as_text:
        handler.setFormatter(TextFormatter(redactor, colours=on_terminal and "NO_COLOR" not in os.environ))
    else:
        handler.setFormatter(JsonFormatter(redactor, settings.fields))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    logging.captureWarnings(capture=True)


def write_encoded(objects: Sequence[bytes]) -> bool:
    """Write JSON objects, which the caller has redacted and bounded, as lines with the fields of the process.

    For lines that each request has: the formatter would cost more than the request. False, and nothing is written,
    where lines are text for a person.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _LineHandler) and isinstance(handler.formatter, JsonFormatter):
            tail = handler.formatter.tail
            handler.write((tail.join(each[:-1] for each in objects) + tail).decode())
            return True
    return False


class _LineHandler(logging.StreamHandler[TextIO]):
    def write(self, lines: str) -> None:
        """Write whole lines between those of records; what cannot be written is dropped, as records are."""
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            self.stream.write(lines)
            self.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Drop a line that cannot be written: the default would print its arguments unredacted to stderr."""


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "message", ...fields, "exception", "stack"}`, redacted."""

    def __init__(self, redactor: Redactor, fields: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._redactor = redactor
        self._fields = dict(fields or {})
        own = json.dumps(self._fields, ensure_ascii=False, separators=(",", ":"))
        self.tail = (f",{own[1:]}\n" if self._fields else "}\n").encode("utf-8", "backslashreplace")
        """What ends a line that was encoded without these fields and without its last brace."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object without line breaks."""
        document = _document(record, self._redactor)
        document |= {key: value for key, value in self._fields.items() if key not in document}
        line = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return line.encode("utf-8", "backslashreplace").decode()


class TextFormatter(logging.Formatter):
    """`12:00:00.123 INFO logger: message key=value`, redacted, control characters escaped."""

    def __init__(self, redactor: Redactor, *, colours: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the stack below it when there is one."""
        document = _document(record, self._redactor)
        clock = str(document.pop("time"))[11:23]
        level, logger, message = (str(document.pop(key)) for key in ("level", "logger", "message"))
        stack = document.pop("stack", None)
        head = f"{self._paint(_DIM, clock)} {self._paint(_COLOURS[level], f'{level.upper():7}')}"
        line = f"{head} {self._paint(_DIM, logger + ':')} {_printable(message)}"
        for key, value in document.items():
            shown = value if isinstance(value, str) and value.isalnum() else json.dumps(value, ensure_ascii=False)
            line += f" {self._paint(_DIM, _printable(key) + '=')}{_printable(shown)}"
        whole = line if stack is None else f"{line}\n{_printable(str(stack))}"
        return whole.encode("utf-8", "backslashreplace").decode()

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text


def _document(record: logging.LogRecord, redactor: Redactor) -> dict[str, Any]:
    """The record as JSON values without secrets. A field that has the name of one of ours gets `field_` before it."""
    document: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _level(record.levelno),
        "logger": record.name,
        "message": _clean(_message(record), redactor.redact),
    }
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    for key, value in {**_bound.get(), **extra}.items():
        name = f"field_{key}" if key in _OURS else key
        document[redactor.redact(name)] = _plain(name, value, redactor)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        document["exception"] = _clean(f"{type(error).__name__}: {_text(error)}", redactor.redact)
        document["stack"] = _clean("".join(traceback.format_exception(error)).rstrip(), redactor.redact)
    elif record.stack_info:
        document["stack"] = _clean(record.stack_info, redactor.redact)
    return document


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit, or whose own __str__ fails: log what there is
        return f"{record.msg} {_text(record.args)}"


def _level(number: int) -> str:
    names: tuple[tuple[int, LogLevel], ...] = (
        (logging.ERROR, "error"),
        (logging.WARNING, "warning"),
        (logging.INFO, "info"),
    )
    return next((name for least, name in names if number >= least), "debug")


def _plain(name: str, value: object, redactor: Redactor, depth: int = 0) -> Any:  # noqa: ANN401 - a JSON value
    """`value` as a JSON value without secrets; `name` is the field's, or that of the field it is in."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and redactor.mask_values(str(value)) == str(value):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {
            redactor.redact(_text(key)): _plain(_text(key), item, redactor, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_plain(name, item, redactor, depth + 1) for item in value]
    return _clean(_text(value), partial(redactor.redact_field, name))


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an object's own fault must not lose the line
        return f"<unprintable {type(value).__name__}>"


def _clean(text: str, redact: Callable[[str], str]) -> str:
    """`text` redacted, then cut; of a very long one only what cannot be the first half of a secret."""
    masked = redact(text[:_LONGEST_READ])
    kept = LONGEST_FIELD
    if len(text) > _LONGEST_READ:
        kept = min(kept, max(0, len(masked) - _LONGEST_SECRET))
    return masked if len(masked) <= kept else f"{masked[:kept]}... ({len(text)} characters)"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
