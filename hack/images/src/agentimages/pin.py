"""Pins the images of an overlay: those of the sidecars in its platform.yaml, the operator's in its kustomization.

The files stay as people wrote them, comments and all; only the references change.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentimages.errors import PinError

SIDECARS: Final = ("initenv", "toolproxy", "llmgateway")
IMAGES: Final = ("agent-operator", *(f"agent-{name}" for name in SIDECARS))
_REFERENCE: Final = re.compile(r"(?P<name>[\w./:-]+?)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w][\w.-]{0,127}))")


def read_references(words: list[str]) -> dict[str, str]:
    """`agent-NAME=REFERENCE` words as a mapping of all four images.

    Raises PinError for a word of another form, an unknown image, one that is missing, `latest`, and no version at all.
    """
    found: dict[str, str] = {}
    for word in words:
        image, _, reference = word.partition("=")
        if image not in IMAGES:
            raise PinError(f"{word}: must be one of {', '.join(IMAGES)}, then = and its reference")
        _parse(image, reference)
        found[image] = reference
    if missing := [image for image in IMAGES if image not in found]:
        raise PinError(f"all four images are pinned together: {', '.join(missing)} is missing")
    return found


def pin(overlay: Path, references: Mapping[str, str]) -> None:
    """Write `references` into the overlay. Raises PinError when it has no place for one; then nothing is written."""
    platform, kustomization = overlay / "platform.yaml", overlay / "kustomization.yaml"
    texts = {file: _read(file) for file in (platform, kustomization)}
    for name in SIDECARS:
        line = re.compile(rf"^(  {name}: ).*$", re.MULTILINE)
        texts[platform] = _replace(line, rf"\g<1>{references[f'agent-{name}']}", texts[platform], platform, name)
    line = re.compile(r"^  - \{name: agent-operator, .*\}$", re.MULTILINE)
    entry = _entry(_parse("agent-operator", references["agent-operator"]))
    texts[kustomization] = _replace(line, entry, texts[kustomization], kustomization, "agent-operator")
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")


def _parse(image: str, reference: str) -> re.Match[str]:
    match = _REFERENCE.fullmatch(reference)
    if match is None or match["tag"] == "latest":
        raise PinError(f"{image}: {reference!r} must end in @sha256:<64 hex digits>, or in a tag that is not latest")
    return match


def _entry(reference: re.Match[str]) -> str:
    """A line of kustomize's `images:`."""
    version = f"digest: {reference['digest']}" if reference["digest"] else f"newTag: {reference['tag']}"
    return f"  - {{name: agent-operator, newName: {reference['name']}, {version}}}"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise PinError(f"{file}: cannot be read: {error.strerror}") from error


def _replace(line: re.Pattern[str], by: str, text: str, file: Path, name: str) -> str:
    text, count = line.subn(by, text)
    if count != 1:
        raise PinError(f"{file}: must have exactly one line for {name}")
    return text
