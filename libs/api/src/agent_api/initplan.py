"""`init.json`: what the init container has to prepare. Written by agent_render, read by agent-initenv.

Every absolute path is a path of the Pod (see `agent_api.layout`).
"""

from typing import Annotated, Literal

from pydantic import Field

from agent_api.model import Config

Runtime = Literal["python", "nodejs"]


class PlannedFile(Config):
    """A file to write under /shared: exactly one of `content` and `source` is set."""

    path: str = Field(description="Absolute, under /shared.")
    content: str | None = Field(default=None, description="The text itself.")
    source: str | None = Field(default=None, description="Absolute path of a mounted file to copy.")


class GitCode(Config):
    """Code from a git repository, fetched shallow and put in /shared/code."""

    kind: Literal["git"] = "git"
    repository: str
    revision: str = Field(default="HEAD", description="Branch, tag or full commit id.")
    path: str = Field(default="", description="Folder inside the repository that becomes /shared/code.")
    submodules: bool = Field(default=False, description="Fetch those too, by the same protocol and credentials.")
    lfs: bool = Field(default=False, description="Fetch the files of Git LFS too, with the same credentials.")
    credentials: str | None = Field(
        default=None,
        description="Folder with `username` and `password`, or `ssh-privatekey` and perhaps `known_hosts`.",
    )


class LocalCode(Config):
    """Code from a folder that the init container can see, copied to /shared/code."""

    kind: Literal["local"] = "local"
    folder: str = Field(description="Absolute path of the folder.")


class PlannedPackages(Config):
    """Packages for the agent's own runtime, put in /shared/sdk/<runtime>."""

    runtime: Runtime
    version: str = Field(
        default="",
        description="Version of the agent's runtime, such as 3.12: wheels are chosen for it. "
        "Empty: the version of the init container's own interpreter.",
    )
    requirements: tuple[str, ...] = Field(
        default=(), description="PEP 508 requirements, or npm specs such as lodash@4."
    )
    lock: str | None = Field(
        default=None,
        description="Mounted lock file: requirements with hashes for python, package-lock.json for nodejs. "
        "With a lock nothing is installed that it does not name.",
    )
    from_code: bool = Field(
        default=False,
        description="Also what the code names itself: uv.lock, requirements.txt, pyproject.toml; package.json.",
    )
    allow_builds: bool = Field(default=False, description="Build python packages that have no wheel: runs their code.")
    allow_scripts: tuple[str, ...] = Field(default=(), description="npm packages whose install scripts are run.")


class PlannedGlue(Config):
    """A file that the runtime loads before the agent's own code."""

    runtime: Runtime
    source: str = Field(description="Absolute path under /shared; made by a file or code step.")


class SetupStep(Config):
    """A command of the user's, run in /shared/code (or /shared without code). No shell."""

    name: str
    command: tuple[str, ...] = Field(min_length=1)
    timeout_seconds: int = Field(default=300, ge=1, le=3600)


class PackageIndex(Config):
    """Where packages come from. An empty field means the public default of the installer."""

    python_url: str = Field(default="", description="A PEP 503 index of the platform.")
    npm_registry: str = Field(default="", description="An npm registry of the platform.")
    folder: str | None = Field(
        default=None,
        description="Mounted Secret; each file is optional and wins over the two urls: `index-url` (python), "
        "`npmrc` (nodejs), `ca.crt` (PEM bundle trusted in addition to the system's, git included).",
    )


class InitLimits(Config):
    """Bounds of one run of the init container."""

    step_timeout_seconds: int = Field(default=600, ge=1, le=7200, description="Each step but setup.")
    attempts: int = Field(default=5, ge=1, le=10, description="Tries on a network fault, 429 or 5xx.")
    backoff_seconds: float = Field(
        default=1.0, ge=0.01, le=60, description="Pause before the second try; doubles, up to 30 s, jittered."
    )


class InitPlan(Config):
    """What to prepare, in the order it is done: files, code, packages, glue, setup."""

    schema_version: Literal[1] = 1
    agent: str = Field(description="Name of the AgentType, for the report and the log.")
    files: tuple[PlannedFile, ...] = ()
    code: Annotated[GitCode | LocalCode, Field(discriminator="kind")] | None = None
    packages: PlannedPackages | None = None
    glue: PlannedGlue | None = None
    setup: tuple[SetupStep, ...] = ()
    index: PackageIndex = PackageIndex()
    limits: InitLimits = InitLimits()
