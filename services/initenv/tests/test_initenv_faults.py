"""The table against what the real programs said; what can be provoked locally is in the contract tests."""

import errno

import pytest

from agent_api.initreport import InitFault
from agent_initenv.errors import StepError, TransientError
from agent_initenv.faults import CAUSE_CHARS, explain, explain_os_error

UNAUTHORISED = (
    "error: No solution found\n  cause: Because good was not found in the package registry\n"
    "hint: An index URL (http://h/simple) could not be queried due to a lack of valid authentication "
    "credentials (401 Unauthorized)"
)
NETWORK = [
    (
        "uv",
        "error: Failed to fetch: u\n  cause: error sending request for url (u)\n  cause: dns error",
    ),
    ("uv", "error: Failed to fetch: u\n  cause: HTTP status client error (429 Too Many Requests) for url (u)"),
    ("uv", "error: Failed to fetch: u\n  cause: HTTP status server error (502 Bad Gateway) for url (u)"),
    (
        "uv",
        "error: Failed to download `x==1`\n  cause: x.whl\n  cause: error decoding response body",
    ),
    ("npm", "npm error code E503\nnpm error 503 Service Unavailable - GET http://h/good"),
    ("npm", "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error errno ENOTFOUND"),
    ("npm", "npm error code ETIMEDOUT\nnpm error network request to http://h failed"),
    ("git", "fatal: unable to access 'https://h/': Could not resolve host: h"),
    ("git", "fatal: unable to access 'https://h/': The requested URL returned error: 503"),
    ("git", "error: RPC failed; curl 56 GnuTLS recv error\nfatal: early EOF"),
    ("git", "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository."),
]
FINAL = [
    ("uv", "error: x\n  cause: No space left on device (os error 28)", InitFault.DISK_FULL),
    ("npm", "npm error code ENOSPC\nnpm error nospc ENOSPC: no space left on device, write", InitFault.DISK_FULL),
    ("git", "error: copy-fd: write returned: No space left on device\nfatal: early EOF", InitFault.DISK_FULL),
    (
        "uv",
        UNAUTHORISED,
        InitFault.ACCESS_DENIED,
    ),
    ("git", "fatal: Authentication failed for 'https://h/x.git/'", InitFault.ACCESS_DENIED),
    (
        "git",
        "git@h: Permission denied (publickey).",
        InitFault.ACCESS_DENIED,
    ),
    ("git", "Host key verification failed.\nfatal: Could not read from remote repository.", InitFault.ACCESS_DENIED),
    ("git", "fatal: remote error: upload-pack: not our ref 1234", InitFault.REVISION_NOT_FOUND),
    ("git", "error: Server does not allow request for unadvertised object 1234", InitFault.REVISION_NOT_FOUND),
    ("git", "remote: Repository not found.\nfatal: repository 'https://h/x.git/' not found", InitFault.CODE_NOT_FOUND),
    ("uv", "error: x\n  cause: HTTP status client error (404 Not Found) for url (u)", InitFault.PACKAGE_NOT_FOUND),
    ("npm", "npm error code CERT_HAS_EXPIRED", InitFault.NETWORK_FAILED),
    ("uv", "thread panicked", InitFault.UNEXPECTED),
]


@pytest.mark.parametrize("program, output", NETWORK)
def test_a_network_fault_is_worth_another_attempt(program: str, output: str) -> None:
    error = explain(program, "do it", output)
    assert isinstance(error, TransientError)
    assert error.fault == InitFault.NETWORK_FAILED


@pytest.mark.parametrize("program, output, fault", FINAL)
def test_anything_else_is_final(program: str, output: str, fault: InitFault) -> None:
    error = explain(program, "do it", output)
    assert error.fault == fault
    assert not isinstance(error, TransientError)
    assert error.cure


def test_the_cause_is_one_line_without_noise() -> None:
    output = (
        "Using CPython 3.11.7 interpreter at: /usr/bin/python3\nResolved 1 package in 3ms\n"
        "error: Failed to download `wrong==1.0`\n  cause: Hash mismatch for `wrong==1.0`\n\n         Expected:\n"
        "           sha256:00\n"
    )
    cause = explain("uv", "install the packages", output).cause
    expected = "Failed to download `wrong==1.0` Hash mismatch for `wrong==1.0` Expected: sha256:00"
    assert cause == f"uv could not install the packages: {expected}"


def test_npm_says_which_request_failed() -> None:
    output = "npm error code ECONNRESET\nnpm error network request to http://h/good failed, reason: read ECONNRESET\n"
    assert explain("npm", "x", output).cause.endswith(": request to http://h/good failed, reason: read ECONNRESET")


def test_a_long_cause_is_cut_and_an_empty_one_said() -> None:
    assert len(explain("uv", "x", "error: " + "y" * 5000).cause) <= CAUSE_CHARS + 30
    assert explain("uv", "x", "").cause == "uv could not x: it said nothing"


@pytest.mark.parametrize(
    "number, fault, cure",
    [
        (errno.ENOSPC, InitFault.DISK_FULL, "sizeLimit"),
        (errno.EDQUOT, InitFault.DISK_FULL, "sizeLimit"),
        (errno.EACCES, InitFault.UNEXPECTED, "read its mounts"),
        (errno.EROFS, InitFault.UNEXPECTED, "write to the shared volume"),
        (errno.EIO, InitFault.UNEXPECTED, "log"),
    ],
)
def test_errors_of_the_operating_system(number: int, fault: InitFault, cure: str) -> None:
    error = explain_os_error(OSError(number, "what it says", "/shared/x"))
    assert isinstance(error, StepError)
    assert error.fault == fault
    assert "/shared/x" in error.cause
    assert cure in error.cure
