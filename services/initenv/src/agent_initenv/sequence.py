"""From a plan to its steps, and what has to happen to the volume before the first of them."""

from collections.abc import Mapping
from functools import cache

from agent_api.initplan import GitCode, InitPlan
from agent_api.layout import SHARED_CODE, SHARED_GLUE
from agent_initenv.bench import Bench
from agent_initenv.files import FilesStep
from agent_initenv.gitcode import GitCodeStep
from agent_initenv.glue import GlueStep
from agent_initenv.index import PackageSource, read_source
from agent_initenv.localcode import LocalCodeStep
from agent_initenv.nodepackages import NodeInstaller
from agent_initenv.packages import SDK, PackagesStep
from agent_initenv.pythonpackages import PythonInstaller
from agent_initenv.run import Step
from agent_initenv.setup import UNFINISHED, SetupSteps

INSTALLERS: Mapping[str, type[PythonInstaller] | type[NodeInstaller]] = {
    "python": PythonInstaller,
    "nodejs": NodeInstaller,
}


def order_steps(plan: InitPlan, bench: Bench) -> list[Step]:
    """The plan's steps in the order they are done; a part that is not in the plan has none."""

    @cache
    def source() -> PackageSource:
        folder = bench.volume.locate(plan.index.folder) if plan.index.folder else None
        return read_source(plan.index, folder, bench.environment, bench.private, bench.secrets)

    steps: list[Step] = []
    if plan.files:
        steps.append(FilesStep(plan.files, bench, with_code=plan.code is not None))
    if isinstance(plan.code, GitCode):
        steps.append(GitCodeStep(plan.code, bench, source))
    elif plan.code is not None:
        steps.append(LocalCodeStep(plan.code, bench))
    if plan.packages is not None:
        steps.append(PackagesStep(plan.packages, bench, source, INSTALLERS[plan.packages.runtime]))
    if plan.glue is not None:
        steps.append(GlueStep(plan.glue, bench))
    if plan.setup:
        steps.append(SetupSteps(plan.setup, bench))
    return steps


def settle_past(plan: InitPlan, bench: Bench) -> None:
    """Empty the volume when setup was stopped half-way, and remove what is no longer in the plan."""
    volume = bench.volume
    setup = volume.read_stamp(SetupSteps.name)
    if setup is not None and setup.fingerprint == UNFINISHED:
        bench.progress.note(SetupSteps.name, "was stopped half-way before: everything is prepared anew")
        volume.wipe()
    if not plan.files:
        FilesStep((), bench, with_code=False).forget()
    for name, is_planned, place in (
        ("code", plan.code is not None, SHARED_CODE),
        ("packages", plan.packages is not None, SDK),
        ("glue", plan.glue is not None, SHARED_GLUE),
    ):
        if not is_planned:
            volume.forget(name, volume.locate(place))
    if not plan.setup:
        volume.drop_stamp(SetupSteps.name)
