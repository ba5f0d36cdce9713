"""What a requirement may look like.

Everything else would be an option, a path or a build, and is refused with the reason before an installer
sees it.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from agent_api.initreport import InitFault
from agent_initenv.errors import StepError

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PYTHON: Final = re.compile(rf"({_NAME})\s*(?:\[[\w\s,.-]*\])?\s*(?:\(?[<>=!~][^;@]*\)?)?\s*(?:;.*)?")
_PYTHON_URL: Final = re.compile(rf"(?:{_NAME}\s*(?:\[[\w\s,.-]*\])?\s*@\s*)?(https?://\S+)\s*(?:;.*)?")
_NPM_NAME: Final = r"(?:@[a-z0-9~._-]+/)?[a-z0-9_][a-z0-9~._-]*"
_NPM: Final = re.compile(rf"({_NPM_NAME})(?:@(?:npm:{_NPM_NAME}@?)?[^/:@]*)?", re.IGNORECASE)
_NPM_URL: Final = re.compile(rf"(?:{_NPM_NAME}@)?(https?://\S+\.(?:tgz|tar\.gz))", re.IGNORECASE)
_VERSION: Final = re.compile(r"\d+(?:\.\d+){0,2}")


def check_python(requirement: str, *, builds: bool = False) -> None:
    """Accept a PEP 508 requirement by name, or a wheel by https url; with `builds`, also a source archive.

    Raises StepError (PlanInvalid, NoWheel).
    """
    text = requirement.strip()
    _check_text(text, requirement)
    if url := _PYTHON_URL.fullmatch(text):
        _check_url(url[1], requirement, (".whl", ".tar.gz", ".zip") if builds else (".whl",))
    elif re.search(r"\b(?:git|hg|svn|bzr)\+", text):
        raise StepError(InitFault.NO_WHEEL, f"The requirement {requirement!r} would have to be built here.")
    elif not _PYTHON.fullmatch(text):
        _refuse(requirement, "is not a requirement such as pandas==2.2.* (options and local paths are not taken)")


def check_npm(spec: str) -> None:
    """Accept a package of the registry, or a tarball by https url. Raises StepError (PlanInvalid)."""
    text = spec.strip()
    _check_text(text, spec)
    if url := _NPM_URL.fullmatch(text):
        _check_url(url[1], spec, (".tgz", ".tar.gz"))
    elif not _NPM.fullmatch(text):
        _refuse(spec, "is not a package of the registry such as lodash@4 (options, paths and git are not taken)")


def name_of_npm(spec: str) -> str:
    """The name in a checked spec; empty for a bare url."""
    found = _NPM.fullmatch(spec.strip())
    return found[1] if found else ""


def check_version(version: str) -> None:
    """Accept "", or a version such as 3.12 or 3.12.4. Raises StepError (PlanInvalid)."""
    if version and not _VERSION.fullmatch(version):
        raise StepError(
            InitFault.PLAN_INVALID,
            f"The runtime's version {version!r} is not a version number.",
            "Give a version such as 3.12.",
        )


def _check_text(text: str, requirement: str) -> None:
    if text.startswith("-"):
        _refuse(requirement, "is an option of the installer")
    if "${" in text or any(character in text for character in "\0\r\n"):
        _refuse(requirement, "has a character that no requirement has")


def _check_url(url: str, requirement: str, endings: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise StepError(
            InitFault.PLAN_INVALID,
            "The url of a package has credentials in it.",
            "Serve it from an index, and put the index's url into the Secret of sdk.indexSecret.",
        )
    if not parts.path.endswith(endings):
        raise StepError(InitFault.NO_WHEEL, f"The requirement {requirement!r} is not a file that ends in {endings[0]}.")


def _refuse(requirement: str, reason: str) -> None:
    raise StepError(
        InitFault.PLAN_INVALID,
        f"The requirement {requirement!r} {reason}.",
        "Correct spec.agent.environment.sdk.packages. An index of your own goes into sdk.indexSecret.",
    )
