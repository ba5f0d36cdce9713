"""Keeps secrets out of everything that leaves the process as text.

Two nets: values the service has read from a Secret are registered and masked wherever they turn up, in each
encoding they usually turn up in; and text that has the shape of a secret is masked whether registered or not,
because a key can reach us in an upstream's error message. A false alarm costs a word of a log line; a miss
costs a key. So patterns are generous.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

from agent_base.occurrences import begin_of_end, occurrences
from agent_base.spellings import spellings, unescaped

MASK: Final = "***"
_KEY_BEGIN, _KEY_END = "-----BEGIN ", "-----END "
_MOST_KEY_LINES: Final = 1000
"""A key that has not ended by then was cut, and hides no more of what comes after it."""
_SHORTEST_LINE: Final = 8
"""Characters. Of the lines of a value, which a log shows one by one: many are ordinary words, or a bracket."""
_MOST_ROUNDS: Final = 4
SHORTEST_SECRET: Final = 4
"""Characters. Shorter values are not registered: masking them would blank out ordinary words."""
_REMEMBERED_CHARS: Final = 64
_MOST_REMEMBERED: Final = 256
"""Of texts that short: names and words of log lines, which are the same in each."""
_NAMES: Final = (
    r"(?:x-)?api[_-]?key|(?:proxy-)?authorization|passw(?:or)?d|(?:access|refresh|id|auth|bearer)[_-]?token"
    r"|client[_-]?secret|private[_-]?key|secret[_-]?(?:access[_-]?)?key|(?:set-)?cookie"
)
_SIGNED: Final = r"x-(?:amz|goog)-(?:signature|credential|security-token)"
"""Parameters of an address that a store of objects has signed: whoever has them reads the object."""
_FIELD: Final = rf"(?i)(?:^|[_.\-])(?:{_NAMES}|token|secret)$"

_NAME_HINTS: Final = ("api", "authorization", "passw", "token", "secret", "private", "cookie")


class _Shape(NamedTuple):
    """How a kind of secret looks. Text without any of the `hints`, in lower case, cannot hold one: most lines."""

    hints: tuple[str, ...]
    pattern: str
    replacement: str
    flags: re.RegexFlag = re.NOFLAG


@cache
def _compiled(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Compiled when first needed: all of them would cost the init container several milliseconds of its start."""
    return re.compile(pattern, flags)


_SHAPES: Final = (
    _Shape(("-----begin ",), r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", MASK, re.DOTALL),
    _Shape(("://",), r"(?<=://)[^\s/?#]*@", f"{MASK}@"),
    _Shape(("bearer",), r"\b(bearer)(\s+|%20)[A-Za-z0-9\-._~+/]{6,}=*", rf"\1\2{MASK}", re.IGNORECASE),
    _Shape(("basic",), r"\b([Bb]asic)(\s+|%20)(?=[a-z+/]*[A-Z0-9=])[A-Za-z0-9+/]{6,}=*", rf"\1\2{MASK}"),
    _Shape(
        ("sk-", "pk-", "rk-", "glpat-", "xox", "xai-", "pplx-", "nvapi-", "pypi-", "ya29."),
        r"(?<![A-Za-z0-9])((?:[spr]k|glpat|xox[abeprs]|xai|pplx|nvapi|pypi)-|ya29\.)[A-Za-z0-9_\-]{8,}",
        rf"\1{MASK}",
    ),
    _Shape(
        ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "hf_", "npm_", "sk_", "gsk_"),
        r"(?<![A-Za-z0-9])(gh[opsur]|github_pat|hf|npm|sk_live|sk_test|gsk)_[A-Za-z0-9_]{16,}",
        rf"\1_{MASK}",
    ),
    _Shape(("akia", "asia"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", MASK),
    _Shape(("aiza",), r"\bAIza[0-9A-Za-z_\-]{30,}", MASK),
    _Shape(("eyj",), r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]*", MASK),
    _Shape(
        ("?", "&"),
        rf"([?&](?:key|token|secret|sig(?:nature)?|code|{_SIGNED}|{_NAMES})=)[^&\s\"'<>]+",
        rf"\1{MASK}",
        re.IGNORECASE,
    ),
    _Shape(("cookie",), r"(cookie[\"']?\s*[:=]\s*(?:[bu]?[\"'])?)[^\r\n\"']{4,}", rf"\1{MASK}", re.IGNORECASE),
    _Shape(
        ("authorization",),
        r"(authorization[\"']?\s*[:=]\s*(?:[bu]?[\"'])?)(?!bearer\s|basic\s)(?:[\w-]+[ \t]+)?[^\s\"',;&)}\]]{4,}",
        rf"\1{MASK}",
        re.IGNORECASE,
    ),
    _Shape(
        _NAME_HINTS,
        rf"((?:{_NAMES})[\"']?\s*[:=]\s*(?:[bu]?[\"'])?)(?!bearer\s|basic\s|\*\*\*)[^\s\"',;&)}}\]]{{4,}}",
        rf"\1{MASK}",
        re.IGNORECASE,
    ),
    _Shape(
        ("token=", "secret=", "key=", "pass=", "auth=", "credentials="),
        r"(?<![A-Za-z0-9_])([A-Z][A-Z0-9_]*_(?:TOKEN|SECRET|KEY|PASS|AUTH|CREDENTIALS)=[\"']?)[^\s\"',;&]{4,}",
        rf"\1{MASK}",
    ),
    _Shape(
        ("--pass", "--token", "--secret"),
        r"(--(?:pass(?:word|wd)?|token|secret)[ =][\"']?)[^\s\"']{4,}",
        rf"\1{MASK}",
    ),
    _Shape(("login",), r"(\blogin\s+\S+\s+password\s+)\S+", rf"\1{MASK}"),
)


@cache
def _hints() -> tuple[str, ...]:
    """What every secret's text has one of; without those that another one is a part of."""
    hints = tuple(dict.fromkeys(hint for shape in _SHAPES for hint in shape.hints))
    return tuple(hint for hint in hints if not any(other != hint and other in hint for other in hints))


def _has_any(hints: tuple[str, ...], lowered: str) -> bool:
    """As a loop, since this runs for each text that leaves the process, and a generator takes four times as long."""
    for hint in hints:  # noqa: SIM110 - see above
        if hint in lowered:
            return True
    return False


class Redactor:
    """Masks secrets in text. Until a value is forgotten it stays masked: a rotated key too."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._lines: frozenset[str] = frozenset()
        self._shortest = 0
        self._remembered: dict[str, str] = {}

    def add(self, value: str | bytes) -> None:
        """Mask `value` from now on, also when it is quoted, escaped or base64-encoded.

        Values shorter than `SHORTEST_SECRET` characters are left alone.
        """
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        self._lines |= _lines_of(text)
        forms = {form for form in spellings(text) if len(form) >= SHORTEST_SECRET}
        if forms <= self._values:
            return
        self._values |= forms
        self._shortest = min(map(len, self._values))
        self._remembered = {}  # another one, as a thread may be about to write what it found by the former values

    def forget(self, value: str) -> None:
        """Stop masking a value that is of no use any more, such as a token that has expired."""
        self._values -= set(spellings(value))
        self._lines -= _lines_of(value)
        self._remembered = {}

    def holds_value(self, text: str) -> bool:
        """Whether a registered value is in `text`: far cheaper than masking, for the path of every request."""
        if len(text) < self._shortest:
            return False
        return any(value in text for value in self._values) or self._unescaped(text) is not None

    def redact_document(self, value: Any) -> Any:  # noqa: ANN401 - a JSON document
        """`value`, decoded from JSON, with every string in it redacted, however its escapes were spelt; names too."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redact(str(key)): self._redact_named(str(key), item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.redact_document(item) for item in value]
        return value

    def mask_values(self, text: str) -> str:
        """`text` without the registered values; shapes are let through."""
        return _mask(text, _spans(self._values, text))

    def mask_line(self, line: str) -> str:
        """`line` without the registered values, and without the lines of those that have several."""
        return _mask(line, _spans(chain(self._values, self._lines), line)) if self._lines else self.mask_values(line)

    def mask_escaped(self, text: str) -> str:
        """As `mask_values`, also where the values are escaped: then `text` is shown without its escapes.

        Masked as a whole where values are escaped ever deeper, which nobody but an attacker writes.
        """
        for _ in range(_MOST_ROUNDS):
            masked = self.mask_values(text)
            plain = self._unescaped(masked)
            if plain is None:
                return masked
            text = plain
        return MASK

    def mask_cut(self, text: str) -> str:
        """`text`, which was cut off, without the registered values, the last of which may be there in part."""
        begun = self.find_begun(text)
        rest = MASK if len(text) - begun >= SHORTEST_SECRET else text[begun:]
        return self.mask_values(text[:begun]) + rest

    def find_begun(self, text: str) -> int:
        """From where on `text` may be the beginning of a registered value; its length when it is of none."""
        begun = min((begin_of_end(value, text) for value in self._values), default=len(text))
        return next((begin for begin, end in _spans(self._values, text) if begin < begun < end), begun)

    def redact(self, text: str) -> str:
        """`text` without registered values and without anything shaped like a secret."""
        if len(text) > _REMEMBERED_CHARS:
            return self._redact(text)
        remembered = self._remembered
        masked = remembered.get(text)
        if masked is None:
            masked = self._redact(text)
            if len(remembered) >= _MOST_REMEMBERED:
                remembered.clear()
            remembered[text] = masked
        return masked

    def _redact(self, text: str) -> str:
        masked = self.mask_values(text)
        lowered = masked.lower()
        if _has_any(_hints(), lowered):
            for shape in _SHAPES:
                if _has_any(shape.hints, lowered):
                    masked = _compiled(shape.pattern, shape.flags).sub(shape.replacement, masked)
        plain = self._unescaped(masked)
        return masked if plain is None else self._redact(plain)

    def _unescaped(self, text: str) -> str | None:
        return next((plain for plain in unescaped(text) if any(value in plain for value in self._values)), None)

    def _redact_named(self, name: str, value: Any) -> Any:  # noqa: ANN401 - a JSON document
        return self.redact_field(name, value) if isinstance(value, str) else self.redact_document(value)

    def redact_field(self, name: str, text: str) -> str:
        """`text` as the value of a field called `name`: masked whole when the name says that it is a secret."""
        return MASK if text and _compiled(_FIELD).search(name) else self.redact(text)


class StreamMasker:
    """Masks registered values in text that comes in pieces: the end of each waits while it may begin a value."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        text = self._held + text
        begun = self._redactor.find_begun(text)
        self._held = text[begun:]
        return self._redactor.mask_values(text[:begun])

    def flush(self) -> str:
        """The rest, which nothing follows."""
        rest, self._held = self._held, ""
        return self._redactor.mask_cut(rest)


class LineRedactor:
    """Redacts text that comes line by line: a private key takes many lines, and only the first shows what it is."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._key_lines_left = 0

    def redact(self, line: str) -> str | None:
        """`line` without secrets; None for a line inside of a private key."""
        if self._key_lines_left:
            self._key_lines_left = 0 if _KEY_END in line else self._key_lines_left - 1
            return None
        _, begin, after = line.rpartition(_KEY_BEGIN)
        self._key_lines_left = _MOST_KEY_LINES if begin and _KEY_END not in after else 0
        return self._redactor.redact(self._redactor.mask_line(line))


def _lines_of(value: str) -> frozenset[str]:
    """The lines of a value that has several."""
    lines = value.strip().splitlines()
    return frozenset(filter(lambda line: len(line) >= _SHORTEST_LINE, map(str.strip, lines if lines[1:] else ())))


def _spans(values: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Where `values` are, in order; those that overlap are one."""
    spans: list[tuple[int, int]] = []
    there = [value for value in values if value in text]
    for begin, end in sorted(span for value in there for span in occurrences(value, text)):
        if spans and begin < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return spans


def _mask(text: str, spans: Iterable[tuple[int, int]]) -> str:
    shown: list[str] = []
    at = 0
    for begin, end in spans:
        shown += (text[at:begin], MASK)
        at = end
    return "".join((*shown, text[at:])) if shown else text
