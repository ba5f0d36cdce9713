"""What was seen first stays, until someone approves a change.

A tool that a model trusts can change in two ways: its bytes, when it is installed again, and its definition (name,
description, schema), which is what the model reads. Both are compared with the lock file, under the policy:
Enforce refuses a difference, Warn takes it and says so, Off does not look.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_api.toolsconfig import ToolsPolicy
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import ChecksumMismatch, NotAllowed, PinMismatch
from agent_toolproxy.store.lockfile import LockedTool, LockFile
from agent_toolproxy.store.store import canonical_json

_log = logging.getLogger(__name__)


def hash_definition(definition: Mapping[str, Any]) -> str:
    """sha256 of what a model is shown of a tool: everything but its icons, in one spelling."""
    shown = {key: value for key, value in definition.items() if key not in ("icons", "_meta")}
    return hashlib.sha256(canonical_json(shown)).hexdigest()


@dataclass(frozen=True)
class Drift:
    """A definition that is not the pinned one."""

    tool: str
    pinned: str
    seen: str

    def describe(self) -> str:
        """What happened, and what to do about it."""
        return (
            f"the definition changed since it was first seen (was {self.pinned[:12]}, is {self.seen[:12]}): "
            f"to approve it, set policy.approved[{self.tool!r}] to {self.seen}"
        )


class Pins:
    """The policy over the lock file."""

    def __init__(self, lock: LockFile, current: CurrentConfig) -> None:
        self._lock = lock
        self._current = current

    @property
    def policy(self) -> ToolsPolicy:
        """Of the configuration of the moment."""
        return self._current.policy

    def expected(self, name: str, version: str, platform: str) -> LockedTool | None:
        """The pinned install that `name` in this version must equal; None when there is none to hold it to.

        The source is not part of it: the same version from another place must be the same bytes.
        """
        locked = self._lock.tool(name)
        if self.policy.pinning == "Off" or locked is None or (locked.version, locked.platform) != (version, platform):
            return None
        return locked

    def check_install(self, name: str, locked: LockedTool, *, sha256: str) -> None:
        """Raise unless what was fetched may be used: `sha256` is the promised digest, or empty.

        Raises ChecksumMismatch, NotAllowed or PinMismatch.
        """
        if sha256 and locked.sha256 != sha256:
            raise ChecksumMismatch(f"its sha256 is {locked.sha256}, not {sha256} as the configuration says")
        if not sha256 and self.policy.require_checksum:
            raise NotAllowed(f"policy.requireChecksum is on: give it sha256 (what was seen is {locked.sha256})")
        expected = self.expected(name, locked.version, locked.platform)
        approved = self.policy.approved.get(name) == locked.sha256
        if expected is None or sha256 or approved or expected.sha256 == locked.sha256:
            return
        message = (
            f"its sha256 is {locked.sha256}, not {expected.sha256} as when it was first installed: "
            f"give sha256, or set policy.approved[{name!r}] to the new digest"
        )
        if self.policy.pinning == "Enforce":
            raise PinMismatch(message)
        _log.warning("a tool changed", extra={"tool": name, "reason": message})

    def record_install(self, name: str, locked: LockedTool, packages: str | None = None) -> None:
        """Make this install the one that later ones are held to. Blocks."""
        self._lock.set_tool(name, locked, packages)

    def packages(self, digest: str) -> str | None:
        """The list of packages that `digest` is of. Blocks."""
        return self._lock.packages(digest)

    def judge(self, definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Drift]:
        """The tools, by exported name, whose definitions drifted and are not to be served.

        Definitions that are new, approved, or under a weaker policy, are pinned as they are. Blocks.
        """
        drifts: dict[str, Drift] = {}
        accepted: dict[str, str] = {}
        for name, definition in definitions.items():
            seen = hash_definition(definition)
            pinned = self._lock.definition(name)
            if pinned in (None, seen) or self.policy.approved.get(name) == seen:
                accepted[name] = seen
            elif self.policy.pinning == "Enforce":
                drifts[name] = Drift(name, pinned or "", seen)
            else:
                accepted[name] = seen
                self._note_change(name)
        self._lock.set_definitions(accepted)
        return drifts

    def _note_change(self, name: str) -> None:
        if self.policy.pinning == "Warn":
            _log.warning("a tool's definition changed", extra={"tool": name})
