"""Holds a run to what its case expects. Every deviation is found, not only the first."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentberth.replay.outcome import listed
from agentberth.testing.case import Case, Expectation, OutputExpectation
from agentberth.testing.running import RunResult

_LAST_LINES = 20
_STOPPED = 143


@dataclass(frozen=True)
class Verdict:
    """`problems` is empty for a case that passes."""

    case: Case
    result: RunResult
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems


def judge(case: Case, result: RunResult) -> Verdict:
    """Hold `result` to what `case` expects: a verdict with one problem for each difference, none when it passed."""
    return Verdict(case, result, tuple(_problems(case, result)))


def _problems(case: Case, result: RunResult) -> Iterator[str]:
    expect, report = case.document.expect, result.report
    if result.timed_out:
        yield f"did not end within {case.document.timeout_seconds:g} s" + _tail(result)
        return
    misses = report.get("misses", ())
    yield from misses[:1]
    wanted = expect.exit_code if expect.exit_code is not None else (_STOPPED if result.stopped else 0)
    if not misses and result.exit_code != wanted:
        yield f"exit code: expected {wanted}, got {result.exit_code}" + _tail(result)
    yield from _of_text("output", expect.output, result.output)
    for request, answer in zip(case.document.requests, result.answers, strict=False):
        if answer.status != request.status:
            got = answer.status or "no answer"
            yield f"{request.url}: expected status {request.status}, got {got}: {answer.text[:500]}"
        yield from _of_text(request.url, request.expect, answer.text)
    if report and not misses:
        yield from _of_calls(expect, report)


def _of_calls(expect: Expectation, report: Mapping[str, Any]) -> Iterator[str]:
    for name, wanted in (("tools", expect.tools), ("models", expect.models)):
        if wanted is not None and list(wanted) != report[name]:
            yield f"{name}, in order:\n{_diff(wanted, report[name])}"
    for name, bound in (("tokens", expect.tokens), ("usd", expect.usd)):
        used = report[name]
        if bound is not None and (not isinstance(used, int | float) or used > bound.at_most):
            shown = "unknown, because a model has no price" if used is None else used
            yield f"{name}: expected at most {bound.at_most:g}, got {shown}"
    if report["unused"] and expect.unused == "fail":
        yield f"recorded, and not asked for: {listed(report['unused'])} (expect.unused: allow lets it pass)"


def _of_text(name: str, expect: OutputExpectation, text: str) -> Iterator[str]:
    if expect.equals is not None and expect.equals.strip() != text.strip():
        yield f"{name}:\n{_diff(expect.equals.strip().splitlines(), text.strip().splitlines())}"
    for part in expect.contains:
        if part not in text:
            yield f"{name}: does not contain {part!r}; it is:\n{_indented(text)}"
    for part in expect.lacks:
        if part in text:
            yield f"{name}: contains {part!r}"
    for pattern in expect.matches:
        if not re.search(pattern, text, re.MULTILINE):
            yield f"{name}: does not match {pattern!r}; it is:\n{_indented(text)}"


def _diff(wanted: Sequence[str], got: Sequence[str]) -> str:
    lines = difflib.unified_diff(list(wanted), list(got), "expected", "got", lineterm="")
    return "\n".join(f"  {line}" for line in lines)


def _tail(result: RunResult) -> str:
    last = (result.errors.strip() or result.output.strip()).splitlines()[-_LAST_LINES:]
    return "".join(f"\n  {line}" for line in last)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-_LAST_LINES:]) or "  (nothing)"
