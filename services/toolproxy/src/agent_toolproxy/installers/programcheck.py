"""Whether a file can be run here as a program, by its first bytes, before it is pinned and called ready.

A login page, an error as JSON, an empty file or a program for another processor all download well. So does one whose
interpreter or loader is not here, such as a program for musl in an image with glibc.
"""

import os
import struct
from pathlib import Path
from typing import Final

from agent_toolproxy.errors import NotAProgram

_HEAD_BYTES: Final = 4096
_ELF: Final = b"\x7fELF"
_LOADER: Final = 3  # a program header's type
_MOST_HEADERS: Final = 64
_MACHINES: Final = {"amd64": 0x3E, "arm64": 0xB7}
_NAMES: Final = {
    0x03: "386",
    0x3E: "amd64",
    0x28: "arm",
    0xB7: "arm64",
    0xF3: "riscv64",
    0x15: "ppc64le",
    0x16: "s390x",
}
_FOREIGN: Final = (
    (b"MZ", "a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xfe\xed\xfa\xcf", "a program for macOS"),
    (b"\xca\xfe\xba\xbe", "a program for macOS, or Java bytecode"),
    (b"\x89PNG", "a picture"),
    (b"%PDF", "a PDF document"),
)


def check_program(path: Path, platform: str) -> None:
    """Raise NotAProgram unless `path` is an ELF program of `platform` (as in linux/amd64), or a script with `#!`."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"#!"):
        _check_script(head)
    elif head.startswith(_ELF):
        _check_elf(head, platform)
    else:
        raise NotAProgram(f"what was downloaded is not a program: it is {_describe(head)}. Check the URL of the source")


def _check_script(head: bytes) -> None:
    line = head.partition(b"\n")[0].removeprefix(b"#!").strip()
    if not line.startswith(b"/") or b"\0" in line:
        raise NotAProgram("what was downloaded is a script whose first line does not name an interpreter's path")
    _check_present(line.split()[0], "a script for")


def _check_present(path: bytes, what: str) -> None:
    if not os.access(path, os.X_OK):
        shown = path[:120].decode("utf-8", "replace")
        raise NotAProgram(f"what was downloaded is {what} {shown}, which is not here: choose a build that needs none")


def _check_elf(head: bytes, platform: str) -> None:
    system, _, wanted = platform.partition("/")
    if system != "linux":
        raise NotAProgram(f"what was downloaded is a program for Linux, and this is {platform}")
    if len(head) < 20:
        raise NotAProgram("what was downloaded is the beginning of a program: it is cut off")
    order = "<" if head[5] == 1 else ">"
    kind, machine = struct.unpack_from(f"{order}HH", head, 16)
    if kind not in (2, 3):
        raise NotAProgram("what was downloaded is an object file, not a program")
    if machine != _MACHINES.get(wanted, machine):
        found = _NAMES.get(machine, f"machine {machine}")
        raise NotAProgram(f"what was downloaded is a program for {found}, and this node is {wanted}")
    if (loader := _loader_of(head, order)) is not None:
        _check_present(loader, "a program that is loaded by")


def _loader_of(head: bytes, order: str) -> bytes | None:
    """The loader that a 64-bit program names near its beginning, as linkers place it."""
    if head[4] != 2 or len(head) < 64:
        return None
    start = struct.unpack_from(f"{order}Q", head, 32)[0]
    size, count = struct.unpack_from(f"{order}HH", head, 54)
    for number in range(min(count, _MOST_HEADERS)):
        at = start + number * size
        if at + 40 > len(head):
            return None
        kind, _, where, _, _, length = struct.unpack_from(f"{order}LLQQQQ", head, at)
        if kind == _LOADER:
            return head[where : where + length].rstrip(b"\0") or None
    return None


def _describe(head: bytes) -> str:
    if not head:
        return "an empty file"
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "a web page or XML, such as a login page or an error"
    if text.startswith((b"{", b"[")):
        return "JSON, such as an error of the server"
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself"
    return "text without a #! line" if b"\0" not in head else "data of an unknown form"
