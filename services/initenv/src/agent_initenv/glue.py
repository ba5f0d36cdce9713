"""Glue code: a file of the user's that the runtime loads before the agent's own code.

What is written to /shared/glue is a small loader; it names the glue file relative to itself, so that it works
wherever the volume is mounted.
"""

import os
from pathlib import Path, PurePosixPath
from typing import Final

from agent_api.initplan import PlannedGlue
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED, SHARED_CODE, SHARED_GLUE
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.files import check_under_shared
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import is_inside, normalise_modes
from agent_initenv.volume import Stamp, digest

_LOADERS: Final = {"python": "sitecustomize.py", "nodejs": "preload.cjs"}


class GlueStep:
    """Writes /shared/glue/sitecustomize.py or /shared/glue/preload.cjs."""

    name: StepName = "glue"

    def __init__(self, glue: PlannedGlue, context: StepContext) -> None:
        self._glue = glue
        self._context = context
        self._target = context.volume.locate(SHARED_GLUE)
        self.title = f"{glue.source} for {glue.runtime}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether the loader for this file is there, and the file too."""
        del retry
        loader = self._target / _LOADERS[self._glue.runtime]
        return loader.is_file() and stamp.fingerprint == digest(self._loader())

    def build(self, retry: RetryPolicy) -> Stamp:
        """Write the loader to staging, then replace /shared/glue."""
        del retry
        text = self._loader()
        staged = self._context.volume.stage(self.name)
        (staged / _LOADERS[self._glue.runtime]).write_text(text)
        stamp = Stamp(digest(text), detail=self._glue.source, size_bytes=normalise_modes(staged))
        self._context.volume.publish(self.name, staged, self._target, stamp)
        return stamp

    def _loader(self) -> str:
        """The loader's text. Raises StepError: PathEscapes, GlueMissing."""
        place = self._find()
        name = _LOADERS[self._glue.runtime]
        template = (Path(__file__).parent / "preload" / name).read_text()
        quoted = f"../{place}".replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
        return template.replace("@GLUE@", quoted)

    def _find(self) -> PurePosixPath:
        """The glue file below /shared: where it is said to be, else at that place of the agent's code."""
        named = check_under_shared(self._glue.source, "The glue code")
        shared = self._context.volume.shared
        for place in (named, PurePosixPath(SHARED_CODE).relative_to(SHARED) / named):
            path = shared / place
            if not is_inside(os.path.realpath(path), os.path.realpath(shared)):
                raise StepError(
                    InitFault.PATH_ESCAPES, f"The glue code {self._glue.source} is a link that leaves {SHARED}."
                )
            if path.is_file():
                return place
        raise StepError(InitFault.GLUE_MISSING, f"The glue code {self._glue.source} is not there after files and code.")
