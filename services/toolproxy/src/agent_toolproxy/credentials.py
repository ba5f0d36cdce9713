"""The mounted Secret of one tool, read when it is used, so that a rotated key is used at once.

Every value that is read is registered with the redactor before anyone can print it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent_base.redaction import Redactor
from agent_toolproxy.errors import ToolNotReady

_LARGEST_BYTES = 1 << 20


class Credentials:
    """One folder of keys. A tool without a Secret has `folder` None."""

    def __init__(self, folder: Path | None, redactor: Redactor) -> None:
        self.folder = folder
        self._redactor = redactor

    def read(self, key: str) -> str:
        """The value of `key`, without its line break. Raises ToolNotReady."""
        if self.folder is None:
            raise ToolNotReady(f"credential {key!r} is wanted, but the tool has no credentialsSecret")
        if "/" in key or key.startswith("."):
            raise ToolNotReady(f"credential {key!r} is not a key of a Secret")
        try:
            value = (self.folder / key).read_bytes()[:_LARGEST_BYTES].decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolNotReady(f"the tool's Secret has no readable key {key!r}") from error
        self._redactor.add(value)
        return value.strip("\r\n")

    def register(self, value: str) -> None:
        """Mask a value that was got with the Secret, such as a token."""
        self._redactor.add(value)

    def forget(self, value: str) -> None:
        """Undo `register` for a value that nobody takes any more."""
        self._redactor.forget(value)

    def has(self, key: str) -> bool:
        """Whether `key` is there."""
        return self.folder is not None and (self.folder / key).is_file()

    def mask_cut(self, output: str) -> str:
        """`output`, which was cut off, without what may be the first part of a value."""
        return self._redactor.mask_cut(output)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Values for variables, by the keys they name. Raises ToolNotReady."""
        return {variable: self.read(key) for variable, key in variables.items()}


class CredentialStore:
    """The mounted Secrets, by the names that the configuration gives them.

    `locate` gives the folder of a name on this machine.
    """

    def __init__(self, locate: Callable[[str], Path], redactor: Redactor) -> None:
        self._locate = locate
        self.redactor = redactor

    def of(self, name: str | None) -> Credentials:
        """The Secret of that name; without one, a Secret that has no keys."""
        return Credentials(self._locate(name) if name else None, self.redactor)
