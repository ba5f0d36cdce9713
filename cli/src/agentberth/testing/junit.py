"""JUnit XML, as CI servers read it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from agentberth.errors import CommandError
from agentberth.testing.verdict import Verdict

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_OUTPUT_CHARS: Final = 65_536


def write_junit(file: Path, verdicts: Sequence[Verdict]) -> None:
    """Raises CommandError when `file` cannot be written."""
    failed = sum(not verdict.passed for verdict in verdicts)
    seconds = sum(verdict.result.seconds for verdict in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": "agentberth", **counts})
    for verdict in verdicts:
        _add(suite, verdict)
    ET.indent(suites)
    try:
        file.write_bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise CommandError(f"{file}: cannot be written: {error.strerror}") from error


def _add(suite: ET.Element, verdict: Verdict) -> None:
    case, result = verdict.case, verdict.result
    about = {"classname": str(case.file.parent), "name": case.name, "time": f"{result.seconds:.3f}"}
    entry = ET.SubElement(suite, "testcase", {**about, "file": str(case.file)})
    if verdict.problems:
        first = _clean(verdict.problems[0].splitlines()[0])
        ET.SubElement(entry, "failure", {"message": first}).text = _clean("\n".join(verdict.problems))
    ET.SubElement(entry, "system-out").text = _clean(result.output[-_MOST_OUTPUT_CHARS:])
    ET.SubElement(entry, "system-err").text = _clean(result.errors[-_MOST_OUTPUT_CHARS:])


def _clean(text: str) -> str:
    """`text` without what XML cannot hold: an agent may print anything."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
