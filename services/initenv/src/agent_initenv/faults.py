"""What the output of uv, npm and git means: one table, tested on what the real programs say.

The first row that matches decides, so the order is part of the table: a full disk explains everything that
comes after it, and uv names a package "not found" when an index has refused access.
"""

import errno
import re
from dataclasses import dataclass
from typing import Final

from agent_api.initreport import InitFault
from agent_initenv.errors import StepError, TransientError

CAUSE_CHARS: Final = 600
_CA_CURE: Final = "Put the authority's certificate as `ca.crt` into the Secret of sdk.indexSecret."


@dataclass(frozen=True)
class _Row:
    pattern: str
    fault: InitFault
    transient: bool = False
    cure: str = ""


_TABLE: Final = (
    _Row(r"No space left on device|ENOSPC|os error 28\b|EDQUOT|Disk quota exceeded", InitFault.DISK_FULL),
    _Row(
        r"Hash mismatch|EINTEGRITY|all requirements must have a hash|does not match any of the expected hashes",
        InitFault.HASH_MISMATCH,
    ),
    _Row(
        r"invalid peer certificate|certificate verify failed|server certificate verification failed"
        r"|SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_HAS_EXPIRED|SSL certificate problem",
        InitFault.NETWORK_FAILED,
        cure=_CA_CURE,
    ),
    _Row(r"Host key verification failed", InitFault.ACCESS_DENIED, cure="Correct `known_hosts` in the Secret."),
    _Row(
        r"\b(?:401|403) (?:Unauthorized|Forbidden)|code E40[13]\b|returned error: 40[13]|Authentication failed"
        r"|could not read (?:Username|Password)|Permission denied \(|HTTP 40[13]\b|Access denied|invalid key",
        InitFault.ACCESS_DENIED,
    ),
    _Row(
        r"\b(?:429|5\d\d) (?:Too Many|Internal|Bad Gateway|Service|Gateway|HTTP|Unknown|<unknown)|code E(?:429|5\d\d)\b"
        r"|HTTP status (?:client error \(429|server error)|returned error: (?:429|5\d\d)|HTTP (?:429|5\d\d)\b",
        InitFault.NETWORK_FAILED,
        transient=True,
    ),
    _Row(
        r"error sending request|dns error|operation timed out|error decoding response body|connection closed"
        r"|tcp connect error|request or response body error|Connection (?:reset|refused|timed out|closed)"
        r"|code (?:ECONN|ETIMEDOUT|EAI_|ENOTFOUND|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|EPIPE|FETCH_ERROR)"
        r"|Could not resolve host|Couldn't connect|Failed to connect|RPC failed|early EOF|hung up unexpectedly"
        r"|unexpected disconnect|Empty reply from server|Operation timed out|Network is unreachable"
        r"|Failed to extract archive|Operation too slow|transfer closed|No route to host|kex_exchange",
        InitFault.NETWORK_FAILED,
        transient=True,
    ),
    _Row(
        r"couldn't find remote ref|not our ref|unadvertised object|unknown revision|Needed a single revision"
        r"|pathspec .* did not match",
        InitFault.REVISION_NOT_FOUND,
    ),
    _Row(
        r"[Rr]epository .*not found|does not appear to be a git repository|Repository not found"
        r"|returned error: 404|not a git repository",
        InitFault.CODE_NOT_FOUND,
    ),
    _Row(
        r"has no (?:usable )?wheels|have no (?:usable )?wheels|building from source is disabled"
        r"|no wheels with a matching|Building source distributions .* is disabled",
        InitFault.NO_WHEEL,
    ),
    _Row(r"was not found in the package registry|code E404\b|\b404 Not Found", InitFault.PACKAGE_NOT_FOUND),
    _Row(
        r"No solution found|no trusted hash was provided|code ETARGET|code ERESOLVE|code EUSAGE"
        r"|requirements are unsatisfiable|`--require-hashes` mode|code EINVALIDPACKAGENAME|code EINVALIDTAGNAME"
        r"|Couldn't parse requirement",
        InitFault.UNRESOLVABLE,
    ),
)

_NOISE: Final = re.compile(
    r"^(?:Using CPython|Using Python|Resolved \d|Prepared \d|Installed \d|npm warn (?!tarball)|npm notice|\s+at |From "
    r"|remote: |hint: Using|Initialized|Warning: Permanently added|npm error (?:A complete|Log files|\s*at |\}|errno"
    r"|syscall|network (?!request)|If you|To correct|Note|tarball|code |\s+(?:code|errno|syscall|address|port|type)))"
)
_LABEL: Final = re.compile(
    r"^\s*(?:error:|cause:|fatal:|hint:|npm warn tarball|npm error(?: (?:network|\d{3}|notarget|ERESOLVE))?)\s*"
)


def explain(program: str, task: str, output: str) -> StepError:
    """What a failed child means: a StepError, or a TransientError when another attempt may succeed.

    `task` completes "<program> could not ...". The caller masks secrets.
    """
    cause = f"{program} could not {task}: {_summarise(output)}"
    for row in _TABLE:
        if re.search(row.pattern, output):
            kind = TransientError if row.transient else StepError
            return kind(row.fault, cause, row.cure)
    return StepError(InitFault.UNEXPECTED, cause)


def explain_os_error(error: OSError) -> StepError:
    """What an error of the operating system means for the reader."""
    where = error.filename or "a file"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StepError(InitFault.DISK_FULL, f"There is no room to write {where}.")
    cure = ""
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        cure = "Let the init container's user read its mounts and write to the shared volume."
    return StepError(InitFault.UNEXPECTED, f"{error.strerror}: {where}.", cure)


def _summarise(output: str) -> str:
    lines = [_LABEL.sub("", line).strip() for line in output.splitlines() if not _NOISE.match(line)]
    text = " ".join(line for line in dict.fromkeys(lines) if line)
    if len(text) > CAUSE_CHARS:
        text = f"{text[: CAUSE_CHARS - 3]}..."
    return text or "it said nothing"
