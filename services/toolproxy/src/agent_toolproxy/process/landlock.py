"""Confines a tool to the workspace, with the kernel's Landlock, which needs no privilege.

Tools run under the proxy's own user id, and one user id cannot hide files from itself: without this, any program
that an agent may call could read the credentials of all others. A confined program reads what it likes except the
mounted configuration and credentials, writes to the given folders alone, and cannot look into processes outside.

Used by the supervisor between fork and exec, so it imports next to nothing.
"""

import ctypes
import os
import stat
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH = 1
LEAST_VERSION = 2  # before it, nothing could be renamed from one folder to another
READ = 0b1101  # execute, read files, read folders
FILE = 0b100000000000111  # what can be granted on a file: execute, write, read, truncate
ALL_OF_2 = (1 << 14) - 1
TRUNCATE = 1 << 14  # from version 3 on
SCOPES = 0b11  # abstract sockets and signals, from version 6 on: neither leaves the tool
SCOPED_FROM = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def kernel_version() -> int:
    """The version of Landlock that the kernel has; 0 is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)))


def is_available() -> bool:
    """Whether tools can be confined here."""
    return kernel_version() >= LEAST_VERSION


def describe() -> str:
    """What the kernel gives, for the report."""
    version = kernel_version()
    if version < LEAST_VERSION:
        return "no Landlock: tools see each other's files and processes"
    return f"Landlock {version}: files" + (", signals and sockets" if version >= SCOPED_FROM else "")


def confine(hidden: list[str], writable: list[str]) -> None:
    """Keep this process, and all it starts, from `hidden` and from writing elsewhere than `writable`.

    What is writable is seen too, also below what is hidden. Signals stay within, where the kernel can do that.
    Without Landlock in the kernel nothing happens. Needs PR_SET_NO_NEW_PRIVS. Raises OSError.
    """
    version = kernel_version()
    if version < LEAST_VERSION:
        return
    call = ctypes.CDLL(None, use_errno=True).syscall
    every = ALL_OF_2 | (TRUNCATE if version > LEAST_VERSION else 0)
    rules = _Ruleset(every, 0, SCOPES if version >= SCOPED_FROM else 0)
    size = ctypes.sizeof(rules) if version >= SCOPED_FROM else ctypes.sizeof(ctypes.c_uint64)
    ruleset = call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    for path in list_beside(hidden) if hidden else ["/"]:
        _allow(call, ruleset, path, READ)
    for path in writable:
        _allow(call, ruleset, os.path.realpath(path), every)
    if ruleset < 0 or call(RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "the program could not be confined")
    os.close(ruleset)


def list_beside(hidden: list[str]) -> list[str]:
    """Everything in the file system but `hidden`: what lies beside each folder on the way to one of them."""
    closed = {os.path.realpath(each) for each in hidden}
    above = {"/"}
    for path in closed:
        parts = path.split("/")
        above |= {"/".join(parts[:at]) for at in range(2, len(parts))}
    beside = []
    for folder in sorted(above):
        paths = [os.path.join(folder, each) for each in _names_in(folder)]  # noqa: PTH118 - imports next to nothing
        beside += [each for each in paths if each not in closed and each not in above]
    return beside


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - likewise
    except OSError:
        return []


def _allow(call: "ctypes._NamedFuncPointer", ruleset: int, path: str, access: int) -> None:
    """A path that is not there needs no rule, and no link gets one: it may lead to what is hidden."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    rule = _PathBeneath(access if is_folder else access & FILE, descriptor)
    call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(descriptor)
