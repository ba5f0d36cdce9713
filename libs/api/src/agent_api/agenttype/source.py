"""`spec.agent.code`: where an agent's code comes from and what runs it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import Argument, ObjectName, Runtime, RuntimeVersion

Repository = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Matches(
        r"(https?|ssh)://[^\s@]*(:[^\s@/]*)?@?[^\s]+|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:[^\s]+",
        "must be a git address: https://host/path, ssh://host/path or user@host:path",
    ),
]
Revision = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(r"[A-Za-z0-9_./][A-Za-z0-9_./+@-]*", "must be a branch, a tag or a full commit id"),
]
SourcePath = Annotated[
    str,
    StringConstraints(max_length=1024),
    Matches(r"[^\n\r]*", "must be one line"),
]


class Source(ApiModel):
    """A git repository, or a folder the init container can see."""

    type: Literal["git", "local"] = Field(
        description="git fetches a revision; local copies a folder that is mounted or in the init image."
    )
    repository: Repository | None = Field(
        default=None,
        description="git: https://, http:// or ssh:// address, or user@host:path.",
    )
    revision: Revision | None = Field(default=None, description="Branch, tag or full commit id. Default: HEAD.")
    path: SourcePath | None = Field(
        default=None,
        description="git: the folder inside the repository. local: the folder inside the ConfigMap or claim, "
        "or of the init image; with `agentberth run`, a folder beside the manifest.",
    )
    credentials_secret: ObjectName | None = Field(
        default=None,
        description="Secret with username and password, or with ssh-privatekey and perhaps known_hosts.",
    )
    submodules: bool = Field(
        default=False,
        description="git: fetch submodules too, by the same protocol; the credentials are for the same host only.",
    )
    lfs: bool = Field(
        default=False,
        description="git: fetch the files of Git LFS too, at most 16 GiB; without it they stay pointers.",
    )
    config_map: ObjectName | None = Field(default=None, description="local: each key is a file.")
    persistent_volume_claim: ObjectName | None = Field(default=None, description="local: mounted read-only.")

    rules: ClassVar = (
        Rule(
            message="a git source needs a repository",
            reason="There would be nothing to fetch.",
            cel="self.type != 'git' || has(self.repository)",
            holds=lambda s: s.type != "git" or s.repository is not None,
        ),
        Rule(
            message="repository, revision and credentialsSecret are for a git source: set type: git or remove them",
            reason="They would silently have no effect.",
            cel="self.type == 'git' || (!has(self.repository) && !has(self.revision) && !has(self.credentialsSecret))",
            holds=lambda s: (
                s.type == "git" or (s.repository is None and s.revision is None and s.credentials_secret is None)
            ),
        ),
        Rule(
            message="submodules are for a git source: set type: git or remove them",
            reason="They would silently have no effect.",
            cel="self.type == 'git' || !has(self.submodules) || !self.submodules",
            holds=lambda s: s.type == "git" or not s.submodules,
            field="submodules",
        ),
        Rule(
            message="lfs is for a git source: set type: git or remove it",
            reason="It would silently have no effect.",
            cel="self.type == 'git' || !has(self.lfs) || !self.lfs",
            holds=lambda s: s.type == "git" or not s.lfs,
            field="lfs",
        ),
        Rule(
            message="configMap and persistentVolumeClaim are for a local source: set type: local or remove them",
            reason="They would silently have no effect.",
            cel="self.type == 'local' || (!has(self.configMap) && !has(self.persistentVolumeClaim))",
            holds=lambda s: s.type == "local" or (s.config_map is None and s.persistent_volume_claim is None),
        ),
        Rule(
            message="a local source needs path, configMap or persistentVolumeClaim",
            reason="There would be nothing to copy.",
            cel="self.type != 'local' || has(self.path) || has(self.configMap) || has(self.persistentVolumeClaim)",
            holds=lambda s: s.type != "local" or bool(s.path or s.config_map or s.persistent_volume_claim),
        ),
        Rule(
            message="a local source has either configMap or persistentVolumeClaim, not both",
            reason="One of two places would silently win.",
            cel="!(has(self.configMap) && has(self.persistentVolumeClaim))",
            holds=lambda s: s.config_map is None or s.persistent_volume_claim is None,
        ),
        Rule(
            message="path must stay inside its source: '..' is not allowed",
            reason="Other files of the volume or of the init container would be copied.",
            cel="self.type == 'local' && !has(self.configMap) && !has(self.persistentVolumeClaim) "
            "|| !has(self.path) || !self.path.split('/').exists(p, p == '..')",
            holds=lambda s: s.names_folder or ".." not in (s.path or "").split("/"),
            field="path",
        ),
        Rule(
            message="credentials in the repository address would be readable by anyone: use credentialsSecret",
            reason="Anyone who may read the AgentType could read the password.",
            cel="!has(self.repository) || !self.repository.matches('^https?://[^/]*@')",
            holds=lambda s: (
                not (s.repository or "").startswith("http")
                or "@" not in (s.repository or "").split("://", 1)[-1].split("/")[0]
            ),
            field="repository",
        ),
    )

    @property
    def names_folder(self) -> bool:
        """True when `path` is a folder by itself, not inside a repository, ConfigMap or claim."""
        return self.type == "local" and self.config_map is None and self.persistent_volume_claim is None


class Code(ApiModel):
    """Code and the runtime that runs it; the platform's runtime table picks the image."""

    source: Source
    runtime: Runtime = Field(description="Language of the code; picks the image from the platform's runtime table.")
    version: RuntimeVersion | None = Field(
        default=None, description="Version of the runtime. Default: the platform's default for it."
    )
    entrypoint: Annotated[tuple[Argument, ...], Field(max_length=64)] = Field(
        default=(), description="File and arguments for the runtime. Default: main.py or index.js."
    )
