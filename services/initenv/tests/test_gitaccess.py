import pytest

from agent_api.initreport import InitFault
from agent_initenv.code.gitaccess import protocol_of
from agent_initenv.errors import StepError


@pytest.mark.parametrize(
    "repository, protocol",
    [
        ("https://host/a.git", "https"),
        ("http://host:8080/a", "http"),
        ("ssh://git@host:22/a.git", "ssh"),
        ("git@host:group/a.git", "ssh"),
        ("host:a", "ssh"),
        ("/srv/git/a", "file"),
        ("file:///srv/git/a", "file"),
    ],
)
def test_protocols(repository: str, protocol: str) -> None:
    assert protocol_of(repository) == protocol


@pytest.mark.parametrize(
    "repository",
    ["", "a", "-oProxyCommand=x", "-host:a", "ext::sh -c x", "git://host/a", "file://host/a", "https:///a", "fd::17"],
)
def test_repositories_that_are_refused(repository: str) -> None:
    with pytest.raises(StepError) as caught:
        protocol_of(repository)
    assert caught.value.fault == InitFault.PLAN_INVALID
