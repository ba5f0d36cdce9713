"""What a server of downloads can send in place of a tool: archives that reach out or blow up, and things that are none.

Each attack has what a person is told of it. `hello` is what would be run, had the rest been harmless.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from contract.toolproxy.artifact_server import REGULAR, SCRIPT, add_member, tar_of, zip_of

LIMITS = {"unpackedBytes": 8 << 20, "unpackedFiles": 200, "downloadBytes": 24 << 20}
LINK: dict[str, Any] = {"type": tarfile.SYMTYPE, "size": 0}
HARD: dict[str, Any] = {"type": tarfile.LNKTYPE, "size": 0}
Member = tuple[str, dict[str, Any]]


class Attack(NamedTuple):
    """The bytes at the URL, and what the error says."""

    content: bytes
    says: str


def tar(*members: Member, mode: str = "w:gz") -> bytes:
    def fill(archive: tarfile.TarFile) -> None:
        add_member(archive, "hello", SCRIPT)
        for name, attributes in members:
            add_member(archive, name, **attributes)

    return tar_of(fill, mode)


def zipped(*members: tuple[str, bytes, int]) -> bytes:
    return zip_of(("hello", SCRIPT, REGULAR), *members)


def with_headers(**headers: str) -> bytes:
    """A tar whose second member has the extended headers."""
    return tar(("x", {"pax_headers": headers}))


def lying_header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header that promises `size` bytes, of which none come."""
    member = tarfile.TarInfo("hello")
    member.type, member.size, member.mode = kind, size, 0o755
    return member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024


def sparse(real: int) -> bytes:
    """One block that claims to be `real` bytes of holes."""
    member = tarfile.TarInfo("hello")
    member.type, member.size, member.mode = tarfile.GNUTYPE_SPARSE, 0, 0o755
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = bytes(24)
    block[483:495] = b"\x80" + real.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"\0" * 1024


def overlapping_zip(count: int) -> bytes:
    """Entries that all have the same bytes: a small file that unpacks to `count` times its content."""
    one = zip_of(("f0", b"\0" * (1 << 20), REGULAR))
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        info, start = archive.infolist()[0], archive.start_dir
    central = one[start:-22]
    name_at = 46
    copies = b"".join(central[:name_at] + b"f0" + central[name_at + 2 :] for _ in range(count))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(copies), start, 0)
    assert info.filename == "f0"
    return one[:start] + copies + end


def lying_zip(**fields: int) -> bytes:
    """A zip whose central directory says something else of its only member than is there."""
    content = bytearray(zip_of(("hello", SCRIPT, REGULAR)))
    central = content.index(b"PK\1\2")
    places = {"method": (10, "<H"), "flags": (8, "<H"), "crc": (16, "<L"), "size": (24, "<L"), "offset": (42, "<L")}
    for name, value in fields.items():
        at, form = places[name]
        struct.pack_into(form, content, central + at, value)
    return bytes(content)


def elf(machine: int = 0x3E, *, kind: int = 2, bits: int = 2, loader: bytes = b"") -> bytes:
    """The head of a program, which asks for `loader`."""
    head = (
        b"\x7fELF"
        + bytes([bits, 1, 1])
        + bytes(9)
        + struct.pack("<HHLQQQLHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    where = len(head) + 56
    return (
        head
        + struct.pack("<LLQQQQQQ", 3 if loader else 1, 4, where, 0, 0, len(loader) + 1, len(loader) + 1, 1)
        + loader
        + b"\0" * 64
    )


def _folded(archive: tarfile.TarFile) -> None:
    add_member(archive, "hello", SCRIPT)
    add_member(archive, "here", linkname=".", **LINK)
    add_member(archive, "up", linkname="here/../../../../etc/passwd", **LINK)


def archives() -> Iterator[tuple[str, Attack]]:
    """Those that lead out of their folder."""
    out = "leads out"
    for name, path in {
        "traversal": "../../evil",
        "traversal_inside": "a/../../evil",
        "dots_last": "a/..",
        "many_slashes": "a//..//..//evil",
    }.items():
        yield f"tar_{name}", Attack(tar((path, {})), out)
        yield f"zip_{name}", Attack(zipped((path, b"x", REGULAR)), out)
    yield "tar_absolute", Attack(tar(("/tmp/evil", {})), "absolute")
    yield "tar_absolute_twice", Attack(tar(("//tmp/evil", {})), "absolute")
    yield "zip_absolute", Attack(zipped(("/tmp/evil", b"x", REGULAR)), "absolute")
    yield "zip_backslashes", Attack(zipped(("..\\..\\evil", b"x", REGULAR)), out)
    yield "tar_name_by_header", Attack(with_headers(path="../../evil"), out)
    yield "tar_absolute_by_header", Attack(with_headers(path="/tmp/evil"), "absolute")
    yield "tar_link_by_header", Attack(tar(("x", {**LINK, "pax_headers": {"linkpath": "/etc/passwd"}})), out)
    yield "tar_long_name", Attack(tar(("../" * 60 + "evil", {})), out)
    for name, target in {
        "passwd": "/etc/passwd",
        "parent": "../../x",
        "process": "/proc/self/environ",
        "empty": "",
    }.items():
        yield f"tar_link_{name}", Attack(tar(("a/l", {**LINK, "linkname": target})), out)
        yield f"zip_link_{name}", Attack(zipped(("a/l", target.encode(), stat.S_IFLNK | 0o777)), out)
    yield "tar_links_folded", Attack(tar_of(_folded), out)
    yield "tar_through_a_link", Attack(tar(("d", {**LINK, "linkname": "e"}), ("d/x", {})), "through a link")
    yield (
        "tar_folder_becomes_a_link",
        Attack(tar(("d/x", {}), ("d", {**LINK, "linkname": "../../.."}), ("d/evil", {})), out),
    )
    yield "tar_link_becomes_a_file", Attack(tar(("l", {**LINK, "linkname": "/etc/passwd"}), ("l", {})), out)
    yield "tar_program_is_a_link_out", Attack(tar(("hello", {**LINK, "linkname": "/bin/sh"})), out)
    yield (
        "tar_links_in_a_circle",
        Attack(tar(("a", {**LINK, "linkname": "b"}), ("b", {**LINK, "linkname": "a"})), "damaged"),
    )
    yield "tar_hard_link_out", Attack(tar(("l", {**HARD, "linkname": "/etc/passwd"})), "absolute")
    yield "tar_hard_link_up", Attack(tar(("l", {**HARD, "linkname": "../../x"})), out)
    yield "tar_hard_link_to_nothing", Attack(tar(("l", {**HARD, "linkname": "none"})), "hard link")
    yield (
        "tar_hard_link_to_a_link",
        Attack(tar(("s", {**LINK, "linkname": "hello"}), ("l", {**HARD, "linkname": "s"})), "hard link"),
    )
    yield "tar_hard_link_to_itself", Attack(tar(("l", {**HARD, "linkname": "l"})), "hard link")


def kinds() -> Iterator[tuple[str, Attack]]:
    """Members that are neither file nor folder, or are more."""
    for name, mode in {"setuid": 0o4755, "setgid": 0o2755, "both": 0o6777}.items():
        yield f"tar_{name}", Attack(tar(("s", {"mode": mode})), "set-user-id")
        yield f"zip_{name}", Attack(zipped(("s", b"x", stat.S_IFREG | mode)), "set-user-id")
    yield "tar_setgid_folder", Attack(tar(("d", {"type": tarfile.DIRTYPE, "size": 0, "mode": 0o2777})), "set-user-id")
    for name, kind in {"device": tarfile.CHRTYPE, "disk": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}.items():
        yield f"tar_{name}", Attack(tar(("d", {"type": kind, "size": 0, "devmajor": 1, "devminor": 3})), "neither")
    for name, mode in {"device": stat.S_IFCHR, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}.items():
        yield f"zip_{name}", Attack(zipped(("d", b"", mode | 0o666)), "neither")


def bombs() -> Iterator[tuple[str, Attack]]:
    """Small files that ask for much."""
    big = b"\0" * (20 << 20)
    for mode in ("gz", "bz2", "xz"):
        yield f"tar_bomb_{mode}", Attack(tar(("big", {"content": big}), mode=f"w:{mode}"), "unpackedBytes")
    yield "zip_bomb", Attack(zipped(("big", big, REGULAR)), "unpackedBytes")
    yield "zip_overlapping", Attack(overlapping_zip(100), "unpackedBytes")
    yield "tar_many_files", Attack(tar(*((f"f{number}", {}) for number in range(300))), "unpackedFiles")
    yield "tar_many_folders", Attack(tar(("/".join(["d"] * 300) + "/f", {})), "folders deep")
    yield (
        "tar_few_files_in_many_folders",
        Attack(tar(*(("/".join([f"d{number}"] * 100) + "/f", {}) for number in range(4))), "unpackedFiles"),
    )
    yield "zip_many_files", Attack(zip_of(*((f"f{number}", b"", REGULAR) for number in range(300))), "unpackedFiles")
    yield "tar_same_file_many_times", Attack(tar(*(("f", {}) for _ in range(300))), "unpackedFiles")
    yield "tar_header_of_gigabytes", Attack(lying_header(3 << 30, tarfile.XHDTYPE), "memory")
    yield "tar_name_of_gigabytes", Attack(lying_header(3 << 30, tarfile.GNUTYPE_LONGNAME), "memory")
    yield "tar_holes", Attack(sparse(1 << 40), "archive")
    yield "tar_long_component", Attack(tar(("n" * 300, {})), "cannot be unpacked")
    yield "zip_wrong_crc", Attack(lying_zip(crc=1), "damaged")
    yield "zip_encrypted", Attack(lying_zip(flags=1), "cannot be unpacked")
    yield "zip_unknown_method", Attack(lying_zip(method=93), "damaged")
    yield "zip_outside_of_itself", Attack(lying_zip(offset=1 << 31), "damaged")
    yield "gzip_cut", Attack(tar(("x", {"content": bytes(range(256)) * 40}))[:200], "damaged")
    yield "gzip_of_garbage", Attack(b"\x1f\x8b\x08\x00" + b"garbage" * 9, "damaged")


def pretenders() -> Iterator[tuple[str, Attack]]:
    """What is no program of this machine."""
    page = b"<!DOCTYPE html><title>Sign in</title><script>location='/login'</script>"
    yield "login_page", Attack(page, "a web page")
    yield "login_page_after_blanks", Attack(b"\n\n  <HTML><body>", "a web page")
    yield "login_page_with_a_mark", Attack(b"\xef\xbb\xbf" + page, "a web page")
    yield "xml_error", Attack(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page or XML")
    yield "json_error", Attack(b'{"message": "Not Found"}', "JSON")
    yield "empty", Attack(b"", "an empty file")
    yield "text", Attack(b"not found\n", "without a #! line")
    yield "large_file_pointer", Attack(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS")
    yield "other_processor", Attack(elf(0xB7), "a program for arm64")
    yield "older_processor", Attack(elf(0x03, bits=1), "a program for 386")
    yield "object_file", Attack(elf(kind=1), "an object file")
    yield "cut_program", Attack(elf()[:18], "cut off")
    yield "program_for_another_system", Attack(elf(loader=b"/lib/ld-musl-nowhere.so.1"), "ld-musl-nowhere")
    yield "windows", Attack(b"MZ" + bytes(64), "Windows")
    yield "macos", Attack(b"\xcf\xfa\xed\xfe" + bytes(64), "macOS")
    yield "picture", Attack(b"\x89PNG\r\n\x1a\n", "a picture")
    yield "script_without_interpreter", Attack(b"#!\necho", "interpreter")
    yield "script_of_a_relative_interpreter", Attack(b"#!workspace/evil\n", "interpreter")
    yield "script_of_no_interpreter", Attack(b"#!/nowhere/sh\necho", "/nowhere/sh")
    yield "compressed_program", Attack(gzip.compress(SCRIPT), "not a tar archive")
    yield "page_in_an_archive", Attack(tar_of(lambda archive: add_member(archive, "hello", page)), "a web page")
    yield "archive_without_a_program", Attack(zip_of(("README", b"x", stat.S_IFREG | 0o644)), "no program")
    yield (
        "archive_of_folders",
        Attack(tar_of(lambda a: add_member(a, "hello/", type=tarfile.DIRTYPE, size=0)), "no program"),
    )


ATTACKS: dict[str, dict[str, Attack]] = {each.__name__: dict(each()) for each in (archives, kinds, bombs, pretenders)}
