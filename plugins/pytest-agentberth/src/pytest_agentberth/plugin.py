"""The hooks. Nothing of agentberth is imported before a case is found: pytest loads this file in every run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from agentberth.testing.case import Case

_SUFFIX: Final = ".agenttest.yaml"
_OPTION: Final = "--agentberth-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that makes cassettes anew."""
    group = parser.getgroup("agentberth")
    group.addoption(_OPTION, action="store_true", help="make the cassettes of *.agenttest.yaml anew, then test")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    """A case is found by the end of its name."""
    return CaseFile.from_parent(parent, path=file_path) if file_path.name.endswith(_SUFFIX) else None


class CaseFile(pytest.File):
    """The file of one case."""

    def collect(self) -> Iterator["CaseItem"]:
        """The case. Raises CollectError when it cannot be read."""
        from agentberth.errors import CommandError  # noqa: PLC0415 - see the module's docstring
        from agentberth.testing.case import read_case  # noqa: PLC0415 - likewise

        try:
            case = read_case(self.path)
        except CommandError as error:
            raise self.CollectError(str(error)) from error
        yield CaseItem.from_parent(self, name=case.name, case=case)


class CaseItem(pytest.Item):
    """One run of an agent."""

    def __init__(self, *, case: "Case", **more: Any) -> None:  # noqa: ANN401 - pytest's own arguments
        super().__init__(**more)
        self._case = case

    def runtest(self) -> None:
        """Raises CaseFailure when something deviates."""
        from agentberth.testing.running import run_case  # noqa: PLC0415 - see the module's docstring
        from agentberth.testing.verdict import judge  # noqa: PLC0415 - likewise

        if self.config.getoption(_OPTION):
            run_case(self._case, record=True)
        verdict = judge(self._case, run_case(self._case))
        for name, text in (("stdout", verdict.result.output), ("stderr", verdict.result.errors)):
            self.add_report_section("call", name, text)
        if not verdict.passed:
            raise CaseFailure("\n".join(verdict.problems))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *more: Any) -> Any:  # noqa: ANN401 - pytest's
        """What deviates, without a traceback: there is none of the agent."""
        if isinstance(excinfo.value, CaseFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *more)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case is."""
        return self.path, None, f"agent test {self.name}"


class CaseFailure(Exception):  # noqa: N818 - a failed test is no error of the plugin
    """What deviates from what a case expects."""
