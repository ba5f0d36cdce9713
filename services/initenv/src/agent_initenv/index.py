"""Where packages come from: the platform's urls, and what a mounted Secret says instead.

Secrets travel to uv and npm through their environment and files, never through an argument, and are known to the
`Redactor` before anything is printed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agent_api.initplan import PackageIndex
from agent_api.initreport import InitFault
from agent_base.redaction import Redactor
from agent_initenv.errors import StepError

_NPMRC_SECRET: Final = re.compile(r"^[^#;]*?(?:_authToken|_auth|_password|password)\s*=\s*\"?([^\"\s]+)", re.MULTILINE)
_NPMRC_REGISTRY: Final = re.compile(r"^\s*registry\s*=", re.MULTILINE)


@dataclass(frozen=True)
class PackageSource:
    """The index in use; an empty url means the installer's public default.

    `trust` are the variables that make uv, npm and git trust the extra certificate as well.
    """

    python_url: str = ""
    npm_registry: str = ""
    npmrc: Path | None = None
    trust: Mapping[str, str] = field(default_factory=dict)


def read_source(
    index: PackageIndex, folder: Path | None, environment: Mapping[str, str], private: Path, redactor: Redactor
) -> PackageSource:
    """Combine the plan with the mounted `folder`; each of its files is optional and wins.

    Raises StepError (PlanInvalid) for an index url that is no http(s) url.
    """
    python_url, npm_registry = index.python_url, index.npm_registry
    npmrc = None
    trust = _system_trust(environment)
    if folder is not None:
        python_url = _text(folder / "index-url").strip() or python_url
        npmrc = folder / "npmrc" if (folder / "npmrc").is_file() else None
        if (folder / "ca.crt").is_file():
            trust = _extra_trust(folder / "ca.crt", environment, private)
    if npmrc is not None:
        content = _text(npmrc)
        for secret in _NPMRC_SECRET.findall(content):
            redactor.add(secret)
        npm_registry = "" if _NPMRC_REGISTRY.search(content) else npm_registry
    for url in (python_url, npm_registry):
        _learn_url(url, redactor)
    return PackageSource(python_url, npm_registry, npmrc, trust)


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _learn_url(url: str, redactor: Redactor) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise StepError(
            InitFault.PLAN_INVALID,
            "The url of the package index is not an http(s) url.",
            "Correct `index-url` in the Secret of sdk.indexSecret, or the platform's index setting.",
        )
    for secret in (parts.password, parts.username if not parts.password else None):
        if secret:
            redactor.add(unquote(secret))


def _system_trust(environment: Mapping[str, str]) -> dict[str, str]:
    bundle = environment.get("SSL_CERT_FILE")
    return {"GIT_SSL_CAINFO": bundle} if bundle else {}


def _extra_trust(extra: Path, environment: Mapping[str, str], private: Path) -> dict[str, str]:
    """One bundle of the system's certificates and the extra one: the programs replace, they do not add."""
    import ssl  # noqa: PLC0415 - milliseconds that only a private authority is worth

    system = environment.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    others = (system, environment.get("NODE_EXTRA_CA_CERTS"))
    parts = [Path(one).read_text() for one in dict.fromkeys(others) if one and Path(one).is_file()]
    bundle = private / "ca-bundle.crt"
    bundle.write_text("\n".join([*parts, extra.read_text()]))
    return dict.fromkeys(("SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"), str(bundle))
