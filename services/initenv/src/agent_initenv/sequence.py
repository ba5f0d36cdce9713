"""The steps of preparation, once: what they are, in which order, from which part of the plan, and what they leave.

A new step is one row of `STEPS`, one module, and one name in `agent_api.initreport.StepName`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from agent_api.initplan import GitCode, InitPlan
from agent_api.initreport import StepName
from agent_api.layout import SHARED_CODE, SHARED_GLUE
from agent_initenv.code.gitcode import GitCodeStep
from agent_initenv.code.localcode import LocalCodeStep
from agent_initenv.context import StepContext
from agent_initenv.files import FilesStep
from agent_initenv.glue import GlueStep
from agent_initenv.index import PackageSource, read_source
from agent_initenv.installers.packages import SDK, PackagesStep
from agent_initenv.run import Phase, Step
from agent_initenv.setupcommands import UNFINISHED, SetupSteps

Source = Callable[[], PackageSource]


@dataclass(frozen=True)
class StepKind:
    """`plan` makes the step that a plan asks for, None when it asks for none; `discard` removes an earlier one's."""

    name: StepName
    plan: Callable[[InitPlan, StepContext, Source], Step | None]
    discard: Callable[[StepContext], None]


def _plan_files(plan: InitPlan, context: StepContext, _: Source) -> Step | None:
    return FilesStep(plan.files, context, with_code=plan.code is not None) if plan.files else None


def _plan_code(plan: InitPlan, context: StepContext, source: Source) -> Step | None:
    if plan.code is None:
        return None
    if isinstance(plan.code, GitCode):
        return GitCodeStep(plan.code, context, source)
    return LocalCodeStep(plan.code, context)


def _plan_packages(plan: InitPlan, context: StepContext, source: Source) -> Step | None:
    if plan.packages is None:
        return None
    if plan.packages.runtime == "python":
        from agent_initenv.installers.pythonpackages import PythonInstaller  # noqa: PLC0415 - a run needs one of the two

        return PackagesStep(plan.packages, context, source, PythonInstaller)
    from agent_initenv.installers.nodepackages import NodeInstaller  # noqa: PLC0415 - likewise

    return PackagesStep(plan.packages, context, source, NodeInstaller)


def _plan_glue(plan: InitPlan, context: StepContext, _: Source) -> Step | None:
    return GlueStep(plan.glue, context) if plan.glue is not None else None


def _plan_setup(plan: InitPlan, context: StepContext, _: Source) -> Step | None:
    return SetupSteps(plan.setup, context, _steps_before("setup")) if plan.setup else None


def _folder(name: StepName, place: str) -> Callable[[StepContext], None]:
    return lambda context: context.volume.forget(name, context.volume.locate(place))


STEPS: Final = (
    StepKind("files", _plan_files, lambda context: FilesStep((), context, with_code=False).forget()),
    StepKind("code", _plan_code, _folder("code", SHARED_CODE)),
    StepKind("packages", _plan_packages, _folder("packages", SDK)),
    StepKind("glue", _plan_glue, _folder("glue", SHARED_GLUE)),
    StepKind("setup", _plan_setup, lambda context: context.volume.drop_stamp("setup")),
)
"""In the order in which they are done."""


def order_steps(plan: InitPlan, context: StepContext, phase: Phase) -> list[Step]:
    """The plan's steps in the order they are done; a part that is not in the plan has none."""

    @cache
    def source() -> PackageSource:
        folder = context.volume.locate(plan.index.folder) if plan.index.folder else None
        return read_source(plan.index, folder, context.environment, context.private, context.redactor)

    planned = (kind.plan(plan, context, source) for kind in _kinds_of(phase))
    return [step for step in planned if step is not None]


def discard_stale_results(plan: InitPlan, context: StepContext, phase: Phase) -> None:
    """Empty the volume when setup was stopped half-way, and remove what is no longer in the plan.

    The phase of setup has nothing to prepare the rest from: its commands then begin again where they stopped.
    """
    volume = context.volume
    setup = volume.read_stamp("setup")
    if phase != "setup" and setup is not None and setup.fingerprint == UNFINISHED:
        context.progress.note("setup", "was stopped half-way before: everything is prepared anew")
        volume.wipe()
    for kind in STEPS:
        if not getattr(plan, kind.name):
            kind.discard(context)


def _kinds_of(phase: Phase) -> tuple[StepKind, ...]:
    in_setup = {"all": (True, False), "prepare": (False,), "setup": (True,)}[phase]
    return tuple(kind for kind in STEPS if (kind.name == "setup") in in_setup)


def _steps_before(name: StepName) -> tuple[StepName, ...]:
    names = [kind.name for kind in STEPS]
    return tuple(names[: names.index(name)])
