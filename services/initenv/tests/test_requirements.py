import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_initenv.errors import StepError
from agent_initenv.installers.requirements import check_npm, check_python, check_version, name_of_npm


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
