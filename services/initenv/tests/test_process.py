import os
import sys
from pathlib import Path

import pytest

from agent_api.initreport import InitFault
from agent_base.redaction import Redactor
from agent_initenv.errors import StepError
from agent_initenv.process import OUTPUT_KEPT_BYTES, Programs
from agent_initenv.retry import SystemClock


class TestPrograms:
    @pytest.fixture
    def programs(self) -> Programs:
        return Programs(os.environ["PATH"], SystemClock(), Redactor())

    def run(self, programs: Programs, code: str, tmp_path: Path, timeout_s: float = 20) -> tuple[int, str, list[str]]:
        lines: list[str] = []
        command = [sys.executable, "-c", code]
        finished = programs.run(command, env={}, cwd=tmp_path, timeout_s=timeout_s, echo=lines.append)
        return finished.code, finished.output, lines

    def test_both_outputs_come_in_order(self, programs: Programs, tmp_path: Path) -> None:
        code = "import sys; print('a', flush=True); print('b', file=sys.stderr, flush=True)"
        code += "; print('c', end=''); sys.exit(3)"
        assert self.run(programs, code, tmp_path) == (3, "a\nb\nc", ["a", "b", "c"])

    def test_only_the_tail_of_a_flood_is_kept(self, programs: Programs, tmp_path: Path) -> None:
        code = "print('x' * 1_000_000); print('the end')"
        exit_code, output, lines = self.run(programs, code, tmp_path)
        assert exit_code == 0
        assert len(output) == OUTPUT_KEPT_BYTES
        assert output.endswith("the end\n")
        assert lines == ["x" * 8192, "the end"]

    def test_a_closed_output_is_not_the_end(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, time; os.close(1); os.close(2); time.sleep(0.3); open('late', 'w').close()"
        assert self.run(programs, code, tmp_path)[0] == 0
        assert (tmp_path / "late").exists()

    def test_a_closed_output_does_not_outwit_the_limit(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, time; os.close(1); os.close(2); time.sleep(60)"
        with pytest.raises(StepError) as caught:
            self.run(programs, code, tmp_path, timeout_s=0.5)
        assert caught.value.fault == InitFault.TIMED_OUT

    def test_secrets_in_what_a_program_prints_are_masked(self, programs: Programs, tmp_path: Path) -> None:
        key = "-----BEGIN PRIVATE KEY-----\\nc4nary\\nc4nary\\n-----END PRIVATE KEY-----"
        code = f"import sys; print('authorization: Bearer sk-c4narycanary\\n{key}\\nend'); sys.exit(1)"
        _, output, lines = self.run(programs, code, tmp_path)
        assert "c4nary" not in f"{output}{lines}"
        assert lines == ["authorization: Bearer ***", "***", "end"]

    def test_a_secret_across_a_cut_is_masked(self, programs: Programs, tmp_path: Path) -> None:
        code = "print('x' * 8185 + ' token=c4narycanary' + 'y' * 65_530)"
        code += "; print(' password=' + 'c4nary' * 50 + '.' * (65_536 - 100), flush=True); raise SystemExit(1)"
        _, output, lines = self.run(programs, code, tmp_path)
        assert "c4nary" not in f"{output}{lines}"
        assert len(output) <= OUTPUT_KEPT_BYTES

    def test_what_a_program_prints_as_data_is_left_alone(self, programs: Programs, tmp_path: Path) -> None:
        assert self.run(programs, "print('sk-branch-of-data')", tmp_path)[1] == "sk-branch-of-data\n"

    def test_nothing_is_inherited(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, sys; print(sorted(set(os.environ) - {'LC_CTYPE'}), sys.stdin.read())"
        assert self.run(programs, code, tmp_path)[1] == "[] \n"
