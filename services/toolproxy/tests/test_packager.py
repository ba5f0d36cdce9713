import pytest

from agent_toolproxy.installers.packager import classify_failure
from agent_toolproxy.process.runner import ProcessResult


def failed(stderr: str) -> ProcessResult:
    return ProcessResult(exit_code=1, stderr=stderr.encode())


@pytest.mark.parametrize(
    "stderr,kind,retryable",
    [
        ("error: Hash mismatch for `x==1`", "PinMismatch", False),
        ("npm error code EINTEGRITY", "PinMismatch", False),
        ("npm error code E404\nnpm error 404 Not Found", "NotFound", False),
        ("npm error code ETARGET\nnpm error notarget No matching version found", "NotFound", False),
        ("npm error code E404\nnpm error 404 Not Found - GET http://h/networkx-mcp", "NotFound", False),
        ("  x No solution found\n  Because there is no version of x==1.500 and you require it", "NotFound", False),
        ("  x No solution found\n  Because a depends on b<1 and you require b>1", "PackageFailed", False),
        ("error: Failed to fetch: `u`\n  cause: invalid peer certificate: UnknownIssuer", "PackageFailed", False),
        ("npm error code E401\nnpm error 401 Unauthorized - GET http://h/network", "PackageFailed", False),
        ("error: Failed to download\n  cause: No space left on device (os error 28)", "PackageFailed", False),
        ("npm error code ECONNREFUSED", "PackageFailed", True),
        ("error: Failed to fetch: `http://x`\n  Caused by: HTTP status server error (503)", "PackageFailed", True),
        ("something else", "PackageFailed", False),
    ],
)
def test_what_packagers_say_is_told_apart(stderr: str, kind: str, retryable: bool) -> None:
    failure = classify_failure(failed(stderr))
    assert (type(failure).__name__, failure.retryable) == (kind, retryable)
