"""A program as a tool: from the arguments of a call to its result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent_api.toolsconfig import ToolDefinition
from agent_kit.telemetry import Telemetry
from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.call import Call, Json, define, text_result
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import InvalidArguments, SourceInvalid
from agent_toolproxy.process.arguments import Invocation, build_invocation, input_schema_of
from agent_toolproxy.process.runner import Command, ProcessLimits, ProcessResult, Stream, run_command
from agent_toolproxy.process.workspace import Workspace, minimal_environment
from agent_toolproxy.schema import Schema, SchemaError
from agent_toolproxy.tools.concurrency import Gate
from agent_toolproxy.tools.givencredentials import given
from agent_toolproxy.tools.provision import Program

OUTPUT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "exitCode": {"type": ["integer", "null"], "description": "null: it was ended, see ended and signal."},
        "signal": {"type": "integer"},
        "stdout": {"type": "string"},
        "stderr": {"type": "string"},
        "truncated": {"type": "array", "items": {"enum": ["stdout", "stderr"]}},
        "ended": {"enum": ["exit", "timeout", "output", "processes", "lost"]},
    },
    "required": ["exitCode", "stdout", "stderr", "truncated", "ended"],
}
_REASONS: Final = {
    "timeout": "it was ended: it ran longer than {timeout_s:g} s",
    "output": "it was ended: it printed far more than the {output_bytes} bytes that are kept",
    "processes": "it was ended: it had more than {processes} processes",
    "lost": "it was ended from outside",
}


class CommandTool:
    """Calls one program, within the limits of the moment. The handler of a served tool."""

    def __init__(
        self,
        definition: ToolDefinition,
        *,
        workspace: Workspace,
        gate: Gate,
        credentials: Credentials,
        path: str,
        current: CurrentConfig,
    ) -> None:
        """Raises SourceInvalid for schemas that cannot be used."""
        self._definition = definition
        self._workspace = workspace
        self._gate = gate
        self._credentials = credentials
        self._path = path
        self._current = current
        self.program: Program | None = None
        try:
            self._input = Schema(input_schema_of(definition))
            self._output = Schema(definition.output_schema) if definition.output_schema else None
        except SchemaError as error:
            raise SourceInvalid(f"its inputSchema or outputSchema cannot be used: {error}") from error

    def describe(self) -> Json:
        """The tool as clients see it."""
        hints = {"readOnlyHint": True} if self._definition.read_only else {}
        return define(
            self._definition.name,
            self._definition.description,
            {"type": "object", **self._input.document},
            outputSchema=dict(self._output.document if self._output else OUTPUT_SCHEMA),
            annotations=hints,
        )

    async def __call__(self, call: Call) -> Json:
        """Run the program. Raises InvalidArguments, ToolBusy, ToolNotReady."""
        self._input.check(call.arguments)
        invocation = build_invocation(self._definition, call.arguments)
        folder = self._workspace.folder(invocation.folder)
        limits = self._process_limits(call)
        async with self._gate.enter(limits.timeout_s):
            with (
                self._workspace.private_folder() as home,
                given(self._credentials, self._definition, home) as credentials,
            ):
                command = self._command(invocation, call, folder, home, credentials.environment)
                result = await run_command(command, call.on_output)
        return self._show(result, limits)

    def _process_limits(self, call: Call) -> ProcessLimits:
        limits = self._current.limits
        return ProcessLimits(
            timeout_s=min(limits.timeout_seconds, call.timeout_s or limits.timeout_seconds),
            output_bytes=limits.output_bytes,
            memory_bytes=limits.memory_bytes,
            processes=limits.processes,
        )

    def _command(
        self, invocation: Invocation, call: Call, folder: Path, home: Path, credentials: Mapping[str, str]
    ) -> Command:
        if self.program is None:
            raise InvalidArguments("the tool has no program yet")
        program, *before = self.program.argv
        return Command(
            program=program,
            arguments=(*before, *invocation.argv),
            folder=folder,
            environment={
                **minimal_environment(self._path, home, self._workspace.root),
                **_trace_environment(call),
                **self._definition.environment,
                **credentials,
            },
            stdin=invocation.stdin,
            limits=self._process_limits(call),
            confinement=self._workspace.confinement(home),
        )

    def _show(self, result: ProcessResult, limits: ProcessLimits) -> Json:
        good = result.exit_code in self._definition.success_codes
        if self._output and good:
            return self._show_json(result.stdout, self._output)
        stdout, stderr = self._shown(result, "stdout"), self._shown(result, "stderr")
        structured: Json = {
            "exitCode": result.exit_code,
            "stdout": stdout,
            "stderr": stderr,
            "truncated": list(result.truncated),
            "ended": result.ended,
        }
        if result.signal is not None:
            structured["signal"] = result.signal
        notes = [f"[{name} was cut at {limits.output_bytes} bytes]" for name in result.truncated]
        if not good:
            notes.append(f"[{_failure(result, limits)}]")
        text = "\n".join(part for part in (stdout.rstrip("\n"), stderr.rstrip("\n"), *notes) if part)
        shown = None if self._output else structured
        return text_result(text, shown, is_error=not good)

    def _shown(self, result: ProcessResult, stream: Stream) -> str:
        text = _decode(result.stdout if stream == "stdout" else result.stderr)
        return self._credentials.mask_cut(text) if stream in result.truncated else text

    @staticmethod
    def _show_json(stdout: bytes, schema: Schema) -> Json:
        try:
            value = load_json(stdout)
        except ValueError as error:
            return text_result(f"{_decode(stdout)}\n[the program did not print JSON: {error}]", is_error=True)
        if problems := schema.problems(value):
            return text_result(f"{_decode(stdout)}\n[not of the output schema: {'; '.join(problems)}]", is_error=True)
        return text_result(_decode(stdout).rstrip("\n"), value)


def _trace_environment(call: Call) -> dict[str, str]:
    """The call's trace for a program that can go on with it, in OpenTelemetry's names for variables."""
    given = Telemetry.extract({key: value for key, value in call.meta.items() if isinstance(value, str)})
    return {name.upper(): value for name, value in given.items()}


def _failure(result: ProcessResult, limits: ProcessLimits) -> str:
    if result.error:
        return f"it could not be started: {result.error}"
    if result.ended != "exit":
        return _REASONS[result.ended].format(**vars(limits))
    return f"killed by signal {result.signal}" if result.signal is not None else f"exit code {result.exit_code}"


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")
