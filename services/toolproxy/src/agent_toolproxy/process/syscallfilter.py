"""Refuses system calls by which a tool could reach other processes of the same user id.

Landlock keeps signals, ptrace and memory within the tool. What it does not cover are limits and scheduling: with
prlimit(2) a tool could take the proxy's memory or files away. A call that names a process other than 0 (the caller)
fails with EPERM. So does System V's shared memory: it outlives a call, is counted by no limit of a process, and is the
whole Pod's.

Used by the supervisor between fork and exec, so it imports next to nothing.
"""

import ctypes
import os
import struct
import sys

SET_SECCOMP, MODE_FILTER = 22, 2  # of prctl(2)
LOAD, JUMP_EQUAL, JUMP_GREATER, RETURN = 0x20, 0x15, 0x35, 0x06  # of linux/bpf_common.h
ALLOW, REFUSE = 0x7FFF0000, 0x00050001  # the latter with EPERM
NUMBER_AT, MACHINE_AT, ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
X32 = 0x40000000  # numbers from here on are of another calling convention
# number of the machine; shmget, semget, msgget; then the calls whose argument at that place is a process: prlimit64,
# sched_setparam, sched_setscheduler, sched_setaffinity, sched_setattr, setpriority, ioprio_set
MACHINES = {
    "x86_64": (0xC000003E, (29, 64, 68), ((302, 0), (142, 0), (144, 0), (203, 0), (314, 0), (141, 1), (251, 1))),
    "aarch64": (0xC00000B7, (194, 190, 186), ((261, 0), (118, 0), (119, 0), (122, 0), (274, 0), (140, 1), (30, 1))),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_available() -> bool:
    """Whether the filter is known for this machine."""
    return sys.platform == "linux" and os.uname().machine in MACHINES


def restrict() -> None:
    """Apply the filter to this process and all it starts. Needs PR_SET_NO_NEW_PRIVS. Raises OSError."""
    if not is_available():
        return
    code = build(os.uname().machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the program's system calls could not be filtered")


def build(machine: str) -> bytes:
    """The filter as BPF: programs of another machine's convention are refused as a whole."""
    audit, shared, calls = MACHINES[machine]
    lines = [_line(LOAD, MACHINE_AT), _line(JUMP_EQUAL, audit, 1, 0), _line(RETURN, REFUSE), _line(LOAD, NUMBER_AT)]
    lines += [_line(JUMP_GREATER, X32, 0, 1), _line(RETURN, REFUSE)]
    for number in shared:
        lines += [_line(JUMP_EQUAL, number, 0, 1), _line(RETURN, REFUSE)]
    for number, argument in calls:
        lines += [
            _line(JUMP_EQUAL, number, 0, 4),
            _line(LOAD, ARGUMENTS_AT + 8 * argument),
            _line(JUMP_EQUAL, 0, 1, 0),
            _line(RETURN, REFUSE),
            _line(RETURN, ALLOW),
        ]
    return b"".join((*lines, _line(RETURN, ALLOW)))


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
