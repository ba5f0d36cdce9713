"""What a failed run of uv, npm or git means: one table, tested on what the real programs say.

The first row that matches decides, so the order is part of the table: a full disk explains everything that comes
after it, and uv names a package "not found" when an index has refused access.

Names, versions and addresses are taken out before the table is asked, as they are chosen by others: a package
`network-tools==1.500` that does not exist is not a network fault. For the same reason a row asks for a phrase with
a space in it, or for a code in the place where npm prints one.
"""

import re
from enum import StrEnum
from typing import Final

SUMMARY_CHARS: Final = 600


class ProgramFault(StrEnum):
    """Why a program failed. Only NETWORK may be healed by time alone."""

    DISK_FULL = "the disk is full"
    HASH_MISMATCH = "the bytes are not those that were promised"
    UNKNOWN_AUTHORITY = "the server's certificate is not trusted here"
    UNKNOWN_HOST_KEY = "the host's ssh key is not the known one"
    ACCESS_DENIED = "the server refused access"
    NETWORK = "the server could not be reached, or was busy"
    NO_REVISION = "the repository has no such revision"
    NO_REPOSITORY = "there is no such repository"
    NO_WHEEL = "there is no wheel, and nothing is built here"
    NO_PACKAGE = "there is no such package"
    NO_VERSION = "there is no such version of the package"
    CONFLICT = "the requirements exclude each other"
    INVALID_REQUIREMENT = "a requirement cannot be read"
    UNKNOWN = "the program failed"

    @property
    def is_transient(self) -> bool:
        """Whether the same run may succeed later with nothing changed."""
        return self is ProgramFault.NETWORK


_CODE: Final = r"^npm (?:error|ERR!) (?:code|errno) "
_TABLE: Final = (
    (
        ProgramFault.DISK_FULL,
        rf"No space left on device|\(os error 28\)|Disk quota exceeded|{_CODE}(?:ENOSPC|EDQUOT)\b",
    ),
    (
        ProgramFault.HASH_MISMATCH,
        (
            rf"Hash mismatch for|{_CODE}EINTEGRITY\b|all requirements must have a hash"
            r"|does not match any of the expected hashes|do not match the hashes|integrity checksum failed"
        ),
    ),
    (
        ProgramFault.UNKNOWN_AUTHORITY,
        (
            r"invalid peer certificate|certificate verify failed|server certificate verification failed"
            rf"|SSL certificate problem|{_CODE}(?:[A-Z_]*SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_)"
        ),
    ),
    (ProgramFault.UNKNOWN_HOST_KEY, r"Host key verification failed"),
    (
        ProgramFault.ACCESS_DENIED,
        (
            rf"\b(?:401 Unauthorized|403 Forbidden)|{_CODE}(?:E401|E403|ENEEDAUTH)\b|returned error: 40[13]\b"
            r"|Authentication failed for|could not read (?:Username|Password)|Permission denied \(|HTTP 40[13]\b"
            r"|remote: Access denied|: invalid key"
        ),
    ),
    (
        ProgramFault.NETWORK,
        (
            r"\b(?:429|5\d\d) (?:Too Many|Internal|Bad Gateway|Service|Gateway|HTTP|Unknown|<unknown)"
            rf"|{_CODE}E(?:429|5\d\d)\b|HTTP status (?:client error \(429|server error)"
            r"|returned error: (?:429|5\d\d)\b|HTTP (?:429|5\d\d)\b"
        ),
    ),
    (
        ProgramFault.NETWORK,
        (
            r"error sending request|\bdns error\b|operation timed out|error decoding response body"
            r"|connection closed before|tcp connect error|request or response body error"
            r"|Connection (?:reset|refused|timed out|closed)|Could not resolve host|Couldn't connect to"
            r"|Failed to connect to|RPC failed;|early EOF|hung up unexpectedly|unexpected disconnect"
            r"|Empty reply from server"
            r"|Operation timed out|Network is unreachable|Failed to extract archive|Operation too slow|transfer closed"
            r"|No route to host|: kex_exchange"
            rf"|{_CODE}(?:ECONN|ETIMEDOUT|EAI_|ENOTFOUND|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|EPIPE|FETCH_ERROR)"
        ),
    ),
    (
        ProgramFault.NO_REVISION,
        (
            r"couldn't find remote ref|not our ref|unadvertised object|unknown revision|Needed a single revision"
            r"|pathspec .* did not match"
        ),
    ),
    (
        ProgramFault.NO_REPOSITORY,
        r"[Rr]epository .*not found|does not appear to be a git repository|returned error: 404\b|not a git repository",
    ),
    (
        ProgramFault.NO_WHEEL,
        (
            r"ha(?:s|ve) no (?:usable )?wheels|building from source is disabled|no wheels with a matching"
            r"|[Bb]uilding source distributions .*is disabled"
        ),
    ),
    (ProgramFault.NO_PACKAGE, rf"not found in the package registry|{_CODE}E404\b|\b404 Not Found|was not found in the"),
    (
        ProgramFault.NO_VERSION,
        rf"there (?:is|are) no versions? of|\bonly \S+ is available and you require|{_CODE}ETARGET\b",
    ),
    (
        ProgramFault.CONFLICT,
        (
            rf"No solution found|no trusted hash was provided|{_CODE}(?:ERESOLVE|EUSAGE)\b"
            r"|requirements are unsatisfiable|.--require-hashes. mode"
        ),
    ),
    (ProgramFault.INVALID_REQUIREMENT, rf"Couldn't parse requirement|{_CODE}EINVALID(?:PACKAGE|TAG)NAME\b"),
)

_CHOSEN_BY_OTHERS: Final = r"`(?!--)[^`\n]*`|(?<!\w)'[^'\n]*'|\b[a-z][a-z+]*://\S+"
_LIMITS: Final = r"([<>=!~]=?[\w.*+!]+(?:,[<>=!~]=?[\w.*+!]+)*)"
_DEMAND: Final = rf"([\w.-]+){_LIMITS}"
_NEEDED: Final = rf"([\w.-]+)(?:\[[^\]]*\])?(?:[<>=!~][^\s]*)? depends? on ([\w.-]+){_LIMITS}"
_REQUIRED: Final = r"you require ([^\n]{1,400}?), we can"
_COLOUR: Final = r"\x1b\[[0-9;]*m"
_WRAPPED: Final = r"\n {4,}(?:│ *)?"
_NOISE: Final = (
    r"^(?:Using CPython|Using Python|Resolved \d|Prepared \d|Installed \d|npm (?:warn|WARN) (?!tarball)|npm notice"
    r"|\s+at |From |remote: |hint: Using|Initialized|Warning: Permanently added|npm (?:error|ERR!) (?:A complete"
    r"|Log files|\s*at |\}|errno|syscall|network (?!request)|If you|To correct|Note|tarball|code "
    r"|\s+(?:code|errno|syscall|address|port|type)))"
)
_LABEL: Final = (
    r"^\s*(?:error:|cause:|fatal:|hint:|npm (?:warn|WARN) tarball"
    r"|npm (?:error|ERR!)(?: (?:network|\d{3}|notarget|ERESOLVE))?)\s*"
)


def classify(output: str) -> ProgramFault:
    """What the output of a failed run means."""
    text = re.sub(_CHOSEN_BY_OTHERS, "''", re.sub(_WRAPPED, " ", re.sub(_COLOUR, "", output)))
    found = next((fault for fault, pattern in _TABLE if re.search(pattern, text, re.MULTILINE)), ProgramFault.UNKNOWN)
    return ProgramFault.CONFLICT if found is ProgramFault.NO_WHEEL and _has_conflict(text) else found


def _has_conflict(text: str) -> bool:
    """Whether uv says that a package is needed in two ways, beside releases of others that have no wheel."""
    required = {match for clause in re.findall(_REQUIRED, text) for match in re.findall(_DEMAND, clause)}
    needed = set(re.findall(_NEEDED, text))
    by_others = {(name, limits) for _, name, limits in needed}
    return any(one[0] == other[0] and one[1] != other[1] for one in required for other in by_others) or any(
        one[1] == other[1] and one[0] != other[0] and one[2] != other[2] for one in needed for other in needed
    )


def summarise(output: str) -> str:
    """The output on one line of at most SUMMARY_CHARS, without progress and labels. Mask secrets before."""
    plain = re.sub(_COLOUR, "", output)
    lines = [re.sub(_LABEL, "", line).strip() for line in plain.splitlines() if not re.match(_NOISE, line)]
    text = " ".join(line for line in dict.fromkeys(lines) if line)
    if len(text) > SUMMARY_CHARS:
        text = f"{text[: SUMMARY_CHARS - 3]}..."
    return text or "it printed nothing"
