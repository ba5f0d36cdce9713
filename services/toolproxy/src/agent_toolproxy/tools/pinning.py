"""What was seen first stays, until someone approves a change.

A tool that a model trusts can change in two ways: its bytes, when it is installed again, and its definition (name,
description, schema), which is what the model reads. Both are compared with the lock file, under the policy:
Enforce refuses a difference, Warn takes it and says so, Off does not look.
"""

import difflib
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_api.toolsconfig import ToolsPolicy
from agent_api.toolslock import LockedTool, PinnedDefinition, ToolsLock
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import ChecksumMismatch, NotAllowed, PinMismatch
from agent_toolproxy.store.lockfile import LockFile
from agent_toolproxy.store.store import canonical_json

_log = logging.getLogger(__name__)
_TEXTS: Final = frozenset({"description", "title", "$comment"})
_OF_SCHEMAS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords with a schema for each name. Everything that is in neither set is compared as it is."""
_SCHEMAS: Final = frozenset(
    {
        *("inputSchema", "outputSchema", "annotations", "items", "additionalItems", "prefixItems", "contains"),
        *("additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames", "contentSchema"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    }
)
_LONGEST_TEXT_CHARS: Final = 8000
_MOST_LINES: Final = 400
_LONGEST_LINE_CHARS: Final = 300
_LONGEST_DIFF_CHARS: Final = 2000


def pin_of(definition: Mapping[str, Any]) -> PinnedDefinition:
    """What a definition is held to: everything that a model is shown of it (no icons), in one spelling."""
    shown = {key: value for key, value in definition.items() if key not in ("icons", "_meta")}
    text = json.dumps(shown, sort_keys=True, indent=1, ensure_ascii=False)
    return PinnedDefinition(
        hash=hash_definition(definition),
        call_hash=hashlib.sha256(canonical_json(_without_texts(shown))).hexdigest(),
        text=text if len(text) <= _LONGEST_TEXT_CHARS else "",
    )


def hash_definition(definition: Mapping[str, Any]) -> str:
    """sha256 of what a model is shown of a tool: everything but its icons, in one spelling."""
    shown = {key: value for key, value in definition.items() if key not in ("icons", "_meta")}
    return hashlib.sha256(canonical_json(shown)).hexdigest()


def _without_texts(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """A definition or schema without descriptions, titles and examples; what is a value or a name stays as it is."""
    if isinstance(schema, list):
        return [_without_texts(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _kept(key, each) for key, each in schema.items() if not _is_text(key, each)}


def _kept(key: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if key in _OF_SCHEMAS and isinstance(value, dict):
        return {name: _without_texts(each) for name, each in value.items()}
    return _without_texts(value) if key in _SCHEMAS else value


def _is_text(key: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    return (key in _TEXTS and isinstance(value, str)) or (key == "examples" and isinstance(value, list))


@dataclass(frozen=True)
class Drift:
    """A definition that is not the pinned one; `pinned` is None for a new tool of a server that is pinned."""

    tool: str
    pinned: PinnedDefinition | None
    seen: PinnedDefinition

    def describe(self) -> str:
        """What happened, and what to do about it."""
        approval = f"to approve it, set policy.approved[{self.tool!r}] to {self.seen.hash}"
        if self.pinned is None:
            return f"the server has a tool that it had not when it was first seen: {approval}"
        changed = "its texts" if self.only_texts else "the definition"
        short = f"was {self.pinned.hash[:12]}, is {self.seen.hash[:12]}"
        return f"{changed} changed since it was first seen ({short}): {approval}"

    @property
    def only_texts(self) -> bool:
        """Whether what may be passed to the tool is the same."""
        return self.pinned is not None and self.pinned.call_hash == self.seen.call_hash

    def diff(self) -> str:
        """The old and the new definition as a unified diff, cut to what a status may have."""
        before = self.pinned.text if self.pinned else ""
        lines = difflib.unified_diff(
            before.splitlines()[:_MOST_LINES], self.seen.text.splitlines()[:_MOST_LINES], "pinned", "now", "", "", 1, ""
        )
        return "\n".join(line[:_LONGEST_LINE_CHARS] for line in lines)[:_LONGEST_DIFF_CHARS]


class Pins:
    """The policy over the lock file."""

    def __init__(self, lock: LockFile, current: CurrentConfig) -> None:
        self._lock = lock
        self._current = current

    @property
    def policy(self) -> ToolsPolicy:
        """Of the configuration of the moment."""
        return self._current.policy

    def expected(self, name: str, version: str, platform: str, constraints: tuple[str, ...] = ()) -> LockedTool | None:
        """The pinned install that `name` in this version must equal; None when there is none to hold it to.

        The source is not part of it: the same version from another place must be the same bytes.
        """
        locked = self._lock.tool(name)
        if self.policy.pinning == "Off" or locked is None:
            return None
        asked_for = (version, platform, constraints)
        return locked if (locked.version, locked.platform, locked.constraints) == asked_for else None

    def check_install(self, name: str, locked: LockedTool, *, sha256: str) -> None:
        """Raise unless what was fetched may be used: `sha256` is the promised digest, or empty.

        A package of an index is installed from a list with a hash for each file: policy.requireChecksum is about
        downloads, as the CRD says too. Raises ChecksumMismatch, NotAllowed or PinMismatch.
        """
        if sha256 and locked.sha256 != sha256:
            raise ChecksumMismatch(f"its sha256 is {locked.sha256}, not {sha256} as the configuration says")
        if not sha256 and self.policy.require_checksum and locked.source.startswith(("https://", "http://")):
            raise NotAllowed(f"policy.requireChecksum is on: give it sha256 (what was seen is {locked.sha256})")
        expected = self.expected(name, locked.version, locked.platform, locked.constraints)
        approved = self.policy.approved.get(name) == locked.sha256
        if expected is None or sha256 or approved or expected.sha256 == locked.sha256:
            return
        message = (
            f"its sha256 is {locked.sha256}, not {expected.sha256} as when it was first installed: "
            f"give sha256, or set policy.approved[{name!r}] to the new digest"
        )
        if self.policy.pinning in ("Enforce", "EnforceSchema"):
            raise PinMismatch(message)
        _log.warning("a tool changed", extra={"tool": name, "reason": message})

    def record_install(self, name: str, locked: LockedTool, packages: str | None = None) -> None:
        """Make this install the one that later ones are held to. Blocks."""
        self._lock.set_tool(name, locked, packages)

    def packages(self, digest: str) -> str | None:
        """The list of packages that `digest` is of. Blocks."""
        return self._lock.packages(digest)

    def judge(self, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Drift]:
        """The tools, by exported name, whose definitions drifted and are not to be served. Blocks.

        Others are pinned as they are: those of a server that is seen for the first time, and those that are approved
        or let through by a weaker policy.
        """
        drifts: dict[str, Drift] = {}
        accepted: dict[str, PinnedDefinition] = {}
        owners = self._lock.lock.owners()
        for name, definition in definitions.items():
            drift = self._compare(name, pin_of(definition), known_server=name.partition("__")[0] in owners)
            if drift is None or self._lets_through(drift):
                accepted[name] = pin_of(definition)
            else:
                drifts[name] = drift
        self._lock.set_definitions(accepted)
        return drifts

    def _compare(self, name: str, seen: PinnedDefinition, *, known_server: bool) -> Drift | None:
        pinned = self._lock.definition(name)
        if pinned is None:
            return Drift(name, None, seen) if known_server else None
        return None if pinned.hash == seen.hash else Drift(name, pinned, seen)

    def _lets_through(self, drift: Drift) -> bool:
        if self.policy.approved.get(drift.tool) == drift.seen.hash:
            return True
        if self.policy.pinning == "Enforce" or (self.policy.pinning == "EnforceSchema" and not drift.only_texts):
            return False
        if self.policy.pinning != "Off":
            _log.warning("a tool's definition changed", extra={"tool": drift.tool})
        return True

    def hold_to(self, lock: ToolsLock) -> None:
        """Follow what the platform remembers of earlier Pods. Blocks."""
        self._lock.hold_to(lock)

    @property
    def lock(self) -> ToolsLock:
        """Everything that was seen and accepted."""
        return self._lock.lock
