import struct
from pathlib import Path

import pytest

from agent_toolproxy.errors import NotAProgram
from agent_toolproxy.installers.programcheck import check_program


def elf(machine: int, kind: int = 2) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", kind, machine) + bytes(40)


@pytest.mark.parametrize("content", [b"#!/bin/sh\necho", elf(0x3E), elf(0x3E, 3)])
def test_programs_of_this_platform_are_taken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)

    check_program(path, "linux/amd64")


@pytest.mark.parametrize(
    "content,reason",
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"\n  <HTML>", "a web page"),
        (b"<?xml version='1.0'?><Error>", "a web page or XML"),
        (b'{"message": "Bad credentials"}', "JSON"),
        (b"[]", "JSON"),
        (b"not found\n", "text without a #! line"),
        (b"MZ\x90\x00", "Windows"),
        (b"\xcf\xfa\xed\xfe", "macOS"),
        (b"\x89PNG\r\n", "a picture"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x00\x01\x02", "unknown form"),
        (elf(0xB7), "a program for arm64, and this node is amd64"),
        (elf(0x03), "a program for 386"),
        (elf(0x3E, 1), "an object file"),
        (b"\x7fELF\x02", "cut off"),
        (b"#!python\n", "does not name an interpreter"),
        (b"#! \n", "does not name an interpreter"),
    ],
)
def test_what_is_no_program_here_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)

    with pytest.raises(NotAProgram, match=reason):
        check_program(path, "linux/amd64")
