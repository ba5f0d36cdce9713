"""The table against what the real programs said; what can be provoked locally is in the contract tests."""

import pytest

from agent_base.programfault import SUMMARY_CHARS, ProgramFault, classify, summarise

UV_MISSING = (
    "  x No solution found when resolving dependencies:\n"
    "  `-> Because {name} was not found in the\n      package registry and you require {name}, we can conclude that\n"
    "      your requirements are unsatisfiable."
)
UV_NO_VERSION = (
    "error: No solution found when resolving dependencies\n"
    "  cause: Because there is no version of {name} and you require {name}, we can conclude that your requirements "
    "are unsatisfiable."
)
NPM_MISSING = (
    "npm {label} code E404\nnpm {label} 404 Not Found - GET https://registry.example.com/{name} - Not found\n"
    "npm {label} 404\nnpm {label} 404  '{name}@*' is not in this registry."
)
NPM_NO_VERSION = (
    "npm error code ETARGET\nnpm error notarget No matching version found for {name}.\n"
    "npm error notarget In most cases you or one of your dependencies are requesting"
)
HOSTILE_NAMES = [
    "networkx-mcp",
    "network",
    "timeout",
    "timed-out",
    "x==1.500",
    "x==503",
    "x-429",
    "ECONNRESET",
    "EAI_AGAIN",
    "ENOSPC",
    "EINTEGRITY",
    "hash-mismatch",
    "E401",
    "dns.error",
    "no-wheels",
    "@connection/refused",
    "UNABLE_TO_VERIFY",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize(
    "template,fault",
    [
        (UV_MISSING, ProgramFault.NO_PACKAGE),
        (UV_NO_VERSION, ProgramFault.NO_VERSION),
        (NPM_MISSING.replace("{label}", "error"), ProgramFault.NO_PACKAGE),
        (NPM_MISSING.replace("{label}", "ERR!"), ProgramFault.NO_PACKAGE),
        (NPM_NO_VERSION, ProgramFault.NO_VERSION),
    ],
)
def test_no_name_or_version_changes_what_is_missing(template: str, fault: ProgramFault, name: str) -> None:
    assert classify(template.format(name=name)) is fault


@pytest.mark.parametrize(
    "place", ["https://h/Connection refused.git", "https://h/401 Unauthorized/x.git", "https://h/os error 28"]
)
def test_no_address_changes_what_git_means(place: str) -> None:
    assert classify(f"fatal: repository '{place}/' not found") is ProgramFault.NO_REPOSITORY


UNAUTHORISED = (
    "error: No solution found\n  cause: Because good was not found in the package registry\n"
    "hint: An index URL (http://h/simple) could not be queried due to a lack of valid authentication "
    "credentials (401 Unauthorized)"
)


@pytest.mark.parametrize(
    "output",
    [
        "error: Failed to fetch: u\n  cause: error sending request for url (u)\n  cause: dns error",
        "error: Failed to fetch: u\n  cause: HTTP status client error (429 Too Many Requests) for url (u)",
        "error: Failed to fetch: u\n  cause: HTTP status server error (502 Bad Gateway) for url (u)",
        "error: Failed to download `x==1`\n  cause: x.whl\n  cause: error decoding response body",
        "npm error code E503\nnpm error 503 Service Unavailable - GET http://h/good",
        "npm ERR! code E429\nnpm ERR! 429 Too Many Requests - GET http://h/good",
        "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error errno ENOTFOUND",
        "npm error code ETIMEDOUT\nnpm error network request to http://h failed",
        "fatal: unable to access 'https://h/': Could not resolve host: h",
        "fatal: unable to access 'https://h/': The requested URL returned error: 503",
        "error: RPC failed; curl 56 GnuTLS recv error\nfatal: early EOF",
        "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
    ],
)
def test_a_network_fault_is_transient(output: str) -> None:
    assert classify(output) is ProgramFault.NETWORK
    assert classify(output).is_transient


@pytest.mark.parametrize(
    "output,fault",
    [
        ("error: x\n  cause: No space left on device (os error 28)", ProgramFault.DISK_FULL),
        ("npm error code ENOSPC\nnpm error nospc ENOSPC: no space left on device, write", ProgramFault.DISK_FULL),
        ("error: copy-fd: write returned: No space left on device\nfatal: early EOF", ProgramFault.DISK_FULL),
        (UNAUTHORISED, ProgramFault.ACCESS_DENIED),
        ("npm error code E401\nnpm error Unable to authenticate, your authentication", ProgramFault.ACCESS_DENIED),
        ("fatal: Authentication failed for 'https://h/x.git/'", ProgramFault.ACCESS_DENIED),
        ("git@h: Permission denied (publickey).", ProgramFault.ACCESS_DENIED),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            ProgramFault.UNKNOWN_HOST_KEY,
        ),
        ("fatal: remote error: upload-pack: not our ref 1234", ProgramFault.NO_REVISION),
        ("error: Server does not allow request for unadvertised object 1234", ProgramFault.NO_REVISION),
        ("fatal: couldn't find remote ref refs/heads/x", ProgramFault.NO_REVISION),
        (
            "remote: Repository not found.\nfatal: repository 'https://h/x.git/' not found",
            ProgramFault.NO_REPOSITORY,
        ),
        ("error: x\n  cause: HTTP status client error (404 Not Found) for url (u)", ProgramFault.NO_PACKAGE),
        ("npm error code CERT_HAS_EXPIRED", ProgramFault.UNKNOWN_AUTHORITY),
        ("npm error code DEPTH_ZERO_SELF_SIGNED_CERT", ProgramFault.UNKNOWN_AUTHORITY),
        (
            (
                "error: Failed to fetch: `https://h/simple/x/`\n  cause: error sending request\n"
                "  cause: invalid peer certificate: UnknownIssuer"
            ),
            ProgramFault.UNKNOWN_AUTHORITY,
        ),
        ("error: In `--require-hashes` mode, all requirements must have their versions", ProgramFault.CONFLICT),
        ("npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree", ProgramFault.CONFLICT),
        ("thread panicked", ProgramFault.UNKNOWN),
    ],
)
def test_anything_else_is_final(output: str, fault: ProgramFault) -> None:
    assert classify(output) is fault
    assert not fault.is_transient


def test_the_summary_is_one_line_without_noise() -> None:
    output = (
        "Using CPython 3.11.7 interpreter at: /usr/bin/python3\nResolved 1 package in 3ms\n"
        "\x1b[31merror\x1b[0m: Failed to download `wrong==1.0`\n  cause: Hash mismatch for `wrong==1.0`\n\n"
        "         Expected:\n           sha256:00\n"
    )
    assert summarise(output) == "Failed to download `wrong==1.0` Hash mismatch for `wrong==1.0` Expected: sha256:00"


@pytest.mark.parametrize("label", ["error", "ERR!"])
def test_npm_names_the_request_that_failed(label: str) -> None:
    output = f"npm {label} code ECONNRESET\nnpm {label} network request to http://h/good failed, reason: reset\n"
    assert summarise(output) == "request to http://h/good failed, reason: reset"


def test_a_long_summary_is_cut_and_an_empty_one_said() -> None:
    assert len(summarise("error: " + "y" * 5000)) == SUMMARY_CHARS
    assert summarise("") == "it printed nothing"


UV_TWO_WAYS = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because foo<=1.0 has no usable wheels and foo>=2.0 depends on bar<2, we can conclude that all versions of foo
      depend on bar<2.
      And because you require foo and bar>=2, we can conclude that your requirements are unsatisfiable.
"""
UV_TWO_DEPENDANTS = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because foo==1.0 has no usable wheels and foo>=2.0 depends on bar<2 and baz==3 depends on bar>=2, we can conclude
      that your requirements are unsatisfiable.
"""
UV_NO_WHEEL_BELOW = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because all versions of docopt have no usable wheels and pipreqs<=0.4.11 depends on docopt>=0.6, we can conclude
      that pipreqs<=0.4.11 cannot be used.
      And because you require pipreqs<0.4.12, we can conclude that your requirements are unsatisfiable.
"""
UV_TOO_NEW = """\
error: No solution found when resolving dependencies
  cause: Because only docopt<=0.6.2 is available and you require docopt>0.6.2, we can conclude that your requirements
"""


@pytest.mark.parametrize(
    "output,fault",
    [
        (UV_TWO_WAYS, ProgramFault.CONFLICT),
        (UV_TWO_DEPENDANTS, ProgramFault.CONFLICT),
        (UV_NO_WHEEL_BELOW, ProgramFault.NO_WHEEL),
        (UV_TOO_NEW, ProgramFault.NO_VERSION),
    ],
)
def test_a_conflict_is_one_also_beside_releases_without_a_wheel(output: str, fault: ProgramFault) -> None:
    assert classify(output) is fault
