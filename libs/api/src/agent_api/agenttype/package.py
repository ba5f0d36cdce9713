"""`spec.agent.package`: an agent that others publish as a program on PyPI or npm."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import Arguments, Runtime, RuntimeVersion

PypiPackage = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+",
        "must be a package with its version, such as aider-chat==0.86.1",
    ),
]
NpmPackage = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"(@[a-z0-9~._-]+/)?[a-z0-9~_][a-z0-9~._-]*@[0-9][A-Za-z0-9.+-]*",
        "must be a package with its version, such as @anthropic-ai/claude-code@2.0.14",
    ),
]


class Package(ApiModel):
    """A program of a package index: installed by the init container, started in a runtime image of the platform."""

    pypi: PypiPackage | None = Field(default=None, description="Name and version, as in aider-chat==0.86.1.")
    npm: NpmPackage | None = Field(default=None, description="Name and version, as in @openai/codex@0.40.0.")
    version: RuntimeVersion | None = Field(
        default=None, description="Version of python or node. Default: the platform's default for it."
    )
    command: Arguments = Field(
        default=(), description="Program and arguments. Default: the program that is called as the package is."
    )

    rules: ClassVar = (
        Rule(
            message="a package is either from pypi or from npm: set exactly one of them",
            reason="One of two programs would silently win, or there would be nothing to start.",
            cel="has(self.pypi) != has(self.npm)",
            holds=lambda p: (p.pypi is None) != (p.npm is None),
        ),
    )

    @property
    def runtime(self) -> Runtime:
        """What runs the program."""
        return "nodejs" if self.npm else "python"

    @property
    def requirement(self) -> str:
        """As the installer takes it."""
        return self.npm or self.pypi or ""

    @property
    def program(self) -> tuple[str, ...]:
        name = re.split(r"==|\[", self.pypi)[0] if self.pypi else (self.npm or "").rpartition("@")[0].rpartition("/")[2]
        return self.command or (name,)
