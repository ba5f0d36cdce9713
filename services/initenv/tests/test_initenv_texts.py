import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_api.initreport import InitError, InitFault, StepReport
from agent_initenv.errors import CURES, StepError
from agent_initenv.gitaccess import protocol_of
from agent_initenv.progress import Progress, readable_size
from agent_initenv.pythonpackages import normalise
from agent_initenv.redaction import Secrets
from agent_initenv.requirements import check_npm, check_python, check_version, name_of_npm


def test_every_fault_has_a_cure() -> None:
    assert set(CURES) == set(InitFault)


class TestRequirements:
    @pytest.mark.parametrize(
        "requirement",
        [
            "requests",
            "pandas==2.2.*",
            "uvicorn[standard] >=0.30,<1 ; python_version >= '3.9'",
            "name (>=1.0)",
            "a~=1.0",
            "thing @ https://host/thing-1.0-py3-none-any.whl",
            "https://host/thing-1.0-py3-none-any.whl#sha256=00",
            "  spaced  ",
        ],
    )
    def test_of_python(self, requirement: str) -> None:
        check_python(requirement)

    @pytest.mark.parametrize(
        "spec, name",
        [
            ("lodash", "lodash"),
            ("lodash@4", "lodash"),
            ("@scope/name@^1.2.3", "@scope/name"),
            ("name@>=1 <2", "name"),
            ("alias@npm:@scope/other@1", "alias"),
            ("alias@npm:other", "alias"),
            ("https://host/name-1.0.0.tgz", ""),
        ],
    )
    def test_of_npm(self, spec: str, name: str) -> None:
        check_npm(spec)
        assert name_of_npm(spec) == name

    @pytest.mark.parametrize("check", [check_python, check_npm])
    @given(text=st.text(max_size=40))
    def test_an_option_a_path_or_a_second_line_never_passes(self, check, text: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        try:
            check(text)
        except StepError:
            return
        assert not text.strip().startswith(("-", ".", "/", "~"))
        assert "\n" not in text.strip()
        assert "git+" not in text

    @pytest.mark.parametrize("version", ["", "3", "3.12", "20.11.1"])
    def test_versions(self, version: str) -> None:
        check_version(version)

    @pytest.mark.parametrize("version", ["latest", "3.12.1.1", "-1", "3.12\n"])
    def test_versions_that_are_none(self, version: str) -> None:
        with pytest.raises(StepError):
            check_version(version)


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


class TestSecrets:
    def test_are_masked_also_when_encoded_and_inside_each_other(self) -> None:
        secrets = Secrets()
        secrets.add("abc", "abc/def", "")
        assert secrets.mask("abc/def abc abc%2Fdef") == "*** *** ***"

    def test_credentials_in_urls_are_masked_unknown(self) -> None:
        assert Secrets().mask("to https://user:word@host/x failed") == "to https://***@host/x failed"
        assert Secrets().mask("https://host/a@b") == "https://host/a@b"


@pytest.mark.parametrize(
    "size_bytes, text",
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (310_000_000, "310.0 MB"), (2_500_000_000, "2.5 GB")],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert readable_size(size_bytes) == text


def test_names_are_compared_normalised() -> None:
    assert normalise("Ruamel._Yaml--X") == "ruamel-yaml-x"


def test_progress_masks_and_colours() -> None:
    stream = io.StringIO()
    secrets = Secrets()
    secrets.add("canary")
    progress = Progress(stream, secrets, colour=True)
    progress.start("code", "canary\nmore")
    progress.end(StepReport(name="code", outcome="failed", seconds=1.5, size_bytes=1200, detail="the detail"))
    progress.explain(InitError(step="code", fault=InitFault.UNEXPECTED, cause="canary", cure="wait"))
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["initenv code     ***", "initenv code     more"]
    assert lines[2] == "\x1b[31minitenv code     failed in 1.50 s, 1.2 kB (the detail)\x1b[0m"
    assert lines[3:] == [
        "\x1b[31minitenv code     Unexpected: ***\x1b[0m",
        "\x1b[31minitenv code     what to do: wait\x1b[0m",
    ]
