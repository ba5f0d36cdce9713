"""`spec.agent.environment`: variables, packages, files and steps that are ready before the agent starts."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, ListMap, Matches, Rule, cel_list
from agent_api.agenttype.scalars import (
    WITHOUT_NUL,
    Arguments,
    DataKey,
    DnsLabel,
    FieldPath,
    Image,
    ObjectName,
    RelativePath,
    Runtime,
    RuntimeVersion,
    SharedPath,
    Size,
    VariableName,
)

PLATFORM_VARIABLES = (
    "AGENT_NAME",
    "AGENT_NAMESPACE",
    "AGENT_WORKSPACE",
    "AGENT_MEMORY_URL",
    "AGENT_MEMORY_PASSWORD",
    "LLM_GATEWAY_URL",
    "MCP_SERVER_URL",
    "TOOL_PROXY_URL",
    "TOOL_PROXY_TOKEN",
    "LLM_GATEWAY_TOKEN",
)
JOINED_VARIABLES = ("PATH", "PYTHONPATH", "NODE_PATH", "NODE_OPTIONS", "NO_PROXY", "no_proxy")
MOST_FILE_BYTES = 512 << 10
OWNED_FOLDERS = ("code", "sdk", "glue", "node_modules", ".agentberth")
_OWNED = "|".join(name.replace(".", "[.]") for name in OWNED_FOLDERS)


class KeyReference(ApiModel):
    """A key of a Secret or ConfigMap in the agent's namespace."""

    name: ObjectName = Field(description="Name of the Secret or ConfigMap.")
    key: DataKey = Field(description="Key in its data.")
    optional: bool | None = Field(default=None, description="true: the variable is left out when it is missing.")


class FileReference(ApiModel):
    """A key of a ConfigMap in the agent's namespace, mounted as a file."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: DataKey = Field(description="Key in its data; the value is the file's content.")


class FieldReference(ApiModel):
    """A field of the Pod, as in Kubernetes' downward API."""

    field_path: FieldPath = Field(description="Such as metadata.name or status.podIP.")


class VariableSource(ApiModel):
    """Where a variable's value comes from. Values of Secrets are read by the kubelet, never by Agentberth."""

    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None

    rules: ClassVar = (
        Rule(
            message="valueFrom needs exactly one of secretKeyRef, configMapKeyRef and fieldRef",
            reason="Kubernetes refuses a variable with two sources or none.",
            cel="[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1",
            holds=lambda v: sum(r is not None for r in (v.secret_key_ref, v.config_map_key_ref, v.field_ref)) == 1,
        ),
    )


class Variable(ApiModel):
    """An environment variable of the agent container. It wins over what the platform would set.

    PATH, PYTHONPATH, NODE_PATH, NODE_OPTIONS and NO_PROXY are joined with the platform's part instead.
    """

    name: VariableName = Field(description="Unique in the list, and not one of the platform's own names.")
    value: Annotated[str, StringConstraints(max_length=32768, pattern=WITHOUT_NUL)] | None = Field(
        default=None, description="The value as it is. Default: empty."
    )
    value_from: VariableSource | None = None

    rules: ClassVar = (
        Rule(
            message="a variable has either value or valueFrom, not both",
            reason="Kubernetes refuses a variable with both.",
            cel="!(has(self.value) && has(self.valueFrom))",
            holds=lambda v: v.value is None or v.value_from is None,
        ),
        Rule(
            message=f"this name is set by the platform and cannot be changed: {', '.join(PLATFORM_VARIABLES)}",
            reason="An agent would look for the platform's services, or for itself, in the wrong place.",
            cel=f"!(self.name in {cel_list(PLATFORM_VARIABLES)})",
            holds=lambda v: v.name not in PLATFORM_VARIABLES,
            field="name",
        ),
        Rule(
            message=f"{', '.join(JOINED_VARIABLES)} are joined with the platform's part: use value, not valueFrom",
            reason="A value that only the kubelet can read cannot be joined while rendering.",
            cel=f"!(self.name in {cel_list(JOINED_VARIABLES)}) || !has(self.valueFrom)",
            holds=lambda v: v.name not in JOINED_VARIABLES or v.value_from is None,
            field="valueFrom",
        ),
    )


class ObjectReference(ApiModel):
    """A Secret or ConfigMap in the agent's namespace, as a whole."""

    name: ObjectName = Field(description="Name of the Secret or ConfigMap.")
    optional: bool | None = Field(default=None, description="true: the agent starts without it.")


class VariablesSource(ApiModel):
    """All keys of a Secret or ConfigMap as variables. What `variables` or the platform sets wins over them."""

    prefix: Annotated[
        str, StringConstraints(max_length=64), Matches(r"[A-Za-z0-9_]*", "must be letters, digits and '_'")
    ] = Field(default="", description="Put before each name.")
    config_map_ref: ObjectReference | None = None
    secret_ref: ObjectReference | None = None

    rules: ClassVar = (
        Rule(
            message="an envFrom entry needs exactly one of configMapRef and secretRef",
            reason="Kubernetes refuses an entry with two sources or none.",
            cel="has(self.configMapRef) != has(self.secretRef)",
            holds=lambda v: (v.config_map_ref is None) != (v.secret_ref is None),
        ),
    )


Requirement = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"[A-Za-z0-9@_].*", 'must be a package such as requests or "pandas==2.2.*", not an option'),
]

PackageName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=214),
    Matches(r"(@[a-z0-9~._-]+/)?[a-z0-9~_][a-z0-9~._-]*", "must be the name of an npm package, without a version"),
]


class Sdk(ApiModel):
    """Packages for the agent, installed by the init container into the shared volume."""

    runtime: Runtime | None = Field(default=None, description="Default: code.runtime.")
    version: RuntimeVersion | None = Field(
        default=None,
        description="Version of the agent's runtime: wheels are chosen for it. Default: code.version.",
    )
    packages: Annotated[tuple[Requirement, ...], Field(max_length=256)] = Field(
        default=(),
        description="PEP 508 requirements or npm specs. Python packages are installed from wheels only, unless"
        " `allowBuilds` is true. A release older than the newest is never taken in silence: pin it to ask for it.",
    )
    from_code: Literal["Auto", "Off"] = Field(
        default="Auto",
        description="Auto: the packages that the code names itself are installed too, from uv.lock, requirements.txt"
        " or pyproject.toml (python), package-lock.json or package.json (nodejs). The log says which file was read."
        " Off: they are ignored.",
    )
    allow_builds: bool = Field(
        default=False,
        description="true: python packages without a wheel are built in the init container, which runs their code"
        " beside the credentials of preparation. SecurityPosture says so.",
    )
    allow_scripts: Annotated[tuple[PackageName, ...], Field(max_length=32)] = Field(
        default=(),
        description="npm packages whose install scripts are run in the init container, beside the credentials of"
        " preparation. SecurityPosture says so. All others' are not.",
    )
    lock_config_map: ObjectName | None = Field(
        default=None,
        description="ConfigMap with requirements.txt (every line with --hash) or package-lock.json: "
        "then exactly that is installed.",
    )
    index_secret: ObjectName | None = Field(
        default=None, description="Secret with index-url, npmrc and ca.crt, each optional: a private index."
    )


class GlueCode(ApiModel):
    """A file that the runtime loads before the agent's own code."""

    source: Annotated[
        SharedPath,
        Field(
            description="Path under /shared, made by `files`; else, for /shared/glue.py, the file glue.py of the code."
            " Missing, it fails the start."
        ),
        Matches(
            r".*\.(py|js|cjs|mjs)",
            "must end in .py (python) or .js, .cjs or .mjs (nodejs): the ending picks the runtime",
        ),
    ]


class File(ApiModel):
    """A file that the init container writes under /shared."""

    path: RelativePath = Field(description="Relative to /shared. Below bin/ the file is made executable.")
    content: Annotated[str, StringConstraints(max_length=262144)] | None = Field(
        default=None, description="The file's text: at most 256 KiB, because it is kept in the agent's ConfigMap."
    )
    config_map_key_ref: FileReference | None = None

    rules: ClassVar = (
        Rule(
            message="a file needs exactly one of content and configMapKeyRef",
            reason="An empty file, or one of two contents, would be written unasked.",
            cel="has(self.content) != has(self.configMapKeyRef)",
            holds=lambda f: (f.content is None) != (f.config_map_key_ref is None),
        ),
        Rule(
            message="code, sdk, glue, node_modules and .agentberth under /shared are written by the platform: "
            "choose another path",
            reason="Those folders are replaced as a whole: the file would vanish.",
            cel=f"!self.path.matches('^({_OWNED})(/.*)?$')",
            holds=lambda f: f.path.split("/")[0] not in OWNED_FOLDERS,
            field="path",
        ),
    )


class Setup(ApiModel):
    """A command that is run when everything else is prepared, in an init container of its own. No shell."""

    name: DnsLabel = Field(description="Unique in the list; the log and errors name the step by it.")
    command: Annotated[Arguments, Field(min_length=1)] = Field(
        description="Program and arguments, run in /shared/code, or in /shared without code."
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=300, description="The step fails when it still runs after it."
    )


class SharedVolume(ApiModel):
    """The emptyDir that holds code, packages and files."""

    size_limit: Size = Field(default="2Gi", description="The Pod is evicted above it.")


class Environment(ApiModel):
    """What is prepared for the agent before it starts."""

    variables: Annotated[tuple[Variable, ...], Field(max_length=128), ListMap("name")] = Field(
        default=(), description="Environment variables of the agent container."
    )
    env_from: Annotated[tuple[VariablesSource, ...], Field(max_length=16)] = Field(
        default=(), description="Variables of the agent container, taken whole from Secrets and ConfigMaps."
    )
    sdk: Sdk | None = None
    glue_code: GlueCode | None = None
    files: Annotated[tuple[File, ...], Field(max_length=64), ListMap("path")] = Field(
        default=(), description="Files written under /shared before the agent starts."
    )
    setup: Annotated[tuple[Setup, ...], Field(max_length=16), ListMap("name")] = Field(
        default=(),
        description="Commands run in this order when everything else is prepared, without the Secrets of preparation.",
    )
    volume: SharedVolume | None = None
    image: Image | None = Field(default=None, description="A custom init image, built FROM agent-initenv.")

    rules: ClassVar = (
        Rule(
            message=f"the contents of files are more than {MOST_FILE_BYTES >> 10} KiB together: put them into "
            "ConfigMaps (configMapKeyRef), or into the code",
            reason="They are kept in the agent's ConfigMap, which Kubernetes bounds at 1 MiB.",
            cel="!has(self.files) || self.files.map(f, has(f.content) ? bytes(f.content).size() : 0).sum() "
            f"<= {MOST_FILE_BYTES}",
            holds=lambda e: sum(len((f.content or "").encode()) for f in e.files) <= MOST_FILE_BYTES,
            field="files",
        ),
        Rule(
            message="the path of a file is also the folder of another",
            reason="One name cannot be both, and the preparation would fail.",
            cel="!has(self.files) || self.files.all(a, !self.files.exists(b, b.path.startsWith(a.path + '/')))",
            holds=lambda e: not any(b.path.startswith(f"{a.path}/") for a in e.files for b in e.files),
            field="files",
        ),
    )
