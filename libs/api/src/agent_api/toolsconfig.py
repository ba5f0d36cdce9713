"""`tools.json`: the tools of one agent. Written by agent_render, hot-reloaded by agent-toolproxy."""

import hashlib
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from agent_api.model import Config
from agent_api.toolslock import ToolsLock
from agent_api.toolsources import describe_forms, version_of

CONSTRAINT: Final = r"^[@A-Za-z0-9][^\s#:;\\]*$"
"""One requirement by its version: no address, no option, no second line of the list that it is written into."""


class Artifact(Config):
    """A download for one platform, such as linux/amd64."""

    platform: str
    url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    member: str = Field(default="", description="Path of the program inside an archive; empty for a bare binary.")


class Argument(Config):
    """Where one property of a call goes in the program's argument vector."""

    property: str = Field(min_length=1, description="Of the input schema. Absent or null: nothing is added.")
    flag: str = Field(
        default="", description="Before each value; for a boolean, added alone when it is true. Empty: positional."
    )
    joined: bool = Field(default=False, description="--flag=value as one argument (the flag includes the =).")
    dashes: bool = Field(
        default=False, description="Let a positional value begin with '-'. Else that is refused, unless after '--'."
    )


class ToolOauth(Config):
    """How the proxy gets tokens for an MCP server at a URL. The tool's Secret has `client-id` and `client-secret`."""

    grant: Literal["clientCredentials", "tokenExchange"] = Field(
        default="clientCredentials",
        description="tokenExchange: the token in `subject-token` of the Secret is exchanged.",
    )
    issuer: str = Field(
        default="",
        max_length=2048,
        description="The authorization server. Empty: the one that the MCP server names, if it is at the same host.",
    )
    token_url: str = Field(default="", max_length=2048, description="Its token endpoint; empty: by its metadata.")
    scopes: tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", max_length=256)], ...] = Field(
        default=(), max_length=64, description="Empty: those that the MCP server asks for."
    )
    audience: str = Field(default="", max_length=2048, description="For servers that want one beside the resource.")
    subject_token_type: str = Field(
        default="urn:ietf:params:oauth:token-type:access_token", max_length=256, description="As in RFC 8693."
    )


class ToolOptions(Config):
    """How a tool is called and shown: `config` of a custom tool in an AgentType, and part of a catalogue entry."""

    description: str = Field(default="", max_length=4096)
    program: str = Field(default="", description="Program of the package or on PATH; default: found by name.")
    arguments: tuple[str, ...] = Field(
        default=(),
        description="Arguments before the caller's; for mcp+stdio: the server's own. {workspace} is its folder.",
    )
    input_schema: dict[str, Any] = Field(
        default_factory=dict, description="JSON Schema of a call; empty: {args: [string], stdin: string, cwd: string}."
    )
    output_schema: dict[str, Any] = Field(
        default_factory=dict, description="The program prints JSON of this schema; empty: its output is text."
    )
    argv: tuple[str | Argument, ...] = Field(
        default=(), description="Literals and properties, in order; empty: --property=value for each property."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Added to the minimal environment. {workspace} is its folder."
    )
    credential_environment: dict[str, str] = Field(
        default_factory=dict,
        description="Variable -> key of the tool's Secret. "
        "A server is started again between calls when a value changes.",
    )
    credential_files: dict[str, str] = Field(
        default_factory=dict,
        description="Variable -> key of the tool's Secret, whose value is in the file that the variable names. "
        "The file is written anew when the value changes, and the server goes on.",
    )
    success_codes: tuple[int, ...] = Field(default=(0,), description="Exit codes that are not an error.")
    read_only: bool = Field(default=False, description="Shown to clients as readOnlyHint.")
    version_arguments: tuple[str, ...] = Field(
        default=(), description="Arguments that make a program on PATH print its version."
    )
    start_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Of an MCP server, from its start until its tools are listed; default: limits.startTimeoutSeconds.",
    )
    constraints: tuple[Annotated[str, Field(pattern=CONSTRAINT, max_length=256)], ...] = Field(
        default=(),
        max_length=64,
        description="Versions of what a package depends on, such as pydantic<3; for npm: name@range.",
    )
    input_schemas: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        max_length=256,
        description="Server's own tool name -> JSON Schema of its arguments, in place of the server's: clients are "
        "shown it, and a call that does not fit never reaches the server.",
    )
    include: tuple[str, ...] = Field(
        default=(), description="Globs of the server's own tool names that are served; empty: all."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Globs that are not served; wins over include.")
    rename: dict[str, str] = Field(default_factory=dict, description="Server's own tool name -> name after server__.")
    oauth: ToolOauth | None = Field(default=None, description="Of an MCP server at a URL that wants OAuth.")
    header_credentials: dict[str, str] = Field(
        default_factory=dict,
        description="HTTP header -> key of the tool's Secret; empty: Authorization: Bearer <key 'token', if there>.",
    )


class ToolDefinition(ToolOptions):
    """How a tool is found and called: an entry of the platform's catalogue, or a custom tool."""

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")
    version: str = ""
    source: str = Field(
        default="",
        description=f"{describe_forms(in_manifest=False)}; empty with artifacts.",
    )
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    artifacts: tuple[Artifact, ...] = ()


class ToolCatalogue(Config):
    """The platform's tools: deploy/base/catalog/tools.yaml."""

    schema_version: Literal[1] = 1
    tools: tuple[ToolDefinition, ...] = ()

    def by_name(self) -> dict[str, ToolDefinition]:
        """The entries, each under its name."""
        return {tool.name: tool for tool in self.tools}


class PlannedTool(Config):
    """One tool the agent asked for."""

    name: str
    required: bool = True
    catalogue: ToolDefinition | None = Field(default=None, description="The platform's entry, if it has one.")
    custom: ToolDefinition | None = None
    credentials: str | None = Field(default=None, description="Folder of the mounted Secret.")

    @property
    def definition(self) -> ToolDefinition | None:
        """The one that counts: an author's never replaces the platform's."""
        return self.catalogue or self.custom

    @property
    def asks_for(self) -> tuple[str, tuple[str, ...]]:
        """Version and constraints: while they stay the same, so must what is installed."""
        definition = self.definition
        if definition is None:
            return "", ()
        return definition.version or version_of(definition.source), definition.constraints


Pinning = Literal["Enforce", "EnforceSchema", "Warn", "Off"]
"""EnforceSchema lets an edit of a tool's texts through, and blocks a change of what may be passed to it."""


class ArgumentMatch(Config):
    """What an argument of a call must look like for a rule to apply."""

    argument: str = Field(min_length=1, description="Its name; a.b is b in the object a; of a list, every element.")
    matches: tuple[str, ...] = Field(
        min_length=1, description="Globs of the value. Absent is the empty text; of another type, its JSON."
    )


class CallRule(Config):
    """What happens to calls that fall under it. The first rule that applies decides."""

    tools: tuple[str, ...] = Field(default=("*",), description="Globs of the names under which tools are served.")
    where: tuple[ArgumentMatch, ...] = Field(default=(), description="All of them hold; none is every call.")
    action: Literal["allow", "deny", "ask"] = Field(description="ask: a person approves each call.")
    reason: str = ""


class CallRate(Config):
    """How often each tool may be called. The first one that names a tool is the tool's."""

    tools: tuple[str, ...] = ("*",)
    per_minute: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)


class ApprovalDecision(Config):
    """What a person decided about a call that waits."""

    request: str
    hash: str
    decision: Literal["approved", "denied"]


class ToolsPolicy(Config):
    """What tools may be and do."""

    pinning: Pinning = Field(default="Enforce", description="What a changed tool leads to.")
    require_checksum: bool = Field(default=False, description="Refuse a download that has no sha256.")
    allow: tuple[str, ...] = Field(default=(), description="Globs of tool names; none is all.")
    deny: tuple[str, ...] = Field(default=(), description="Globs of tool names; wins over allow.")
    allowed_networks: tuple[str, ...] = Field(
        default=(),
        description="CIDRs beside the public addresses that downloads and MCP servers may be at. "
        "Plain http is possible only there.",
    )
    blocked_networks: tuple[str, ...] = Field(
        default=(), description="CIDRs that are never connected to, whatever is allowed: the platform's blocked ones."
    )
    approved: dict[str, str] = Field(
        default_factory=dict, description="Definition hash, or digest of an install, by tool: approved after a drift."
    )
    rules: tuple[CallRule, ...] = Field(default=(), description="A call that falls under none is allowed.")
    rates: tuple[CallRate, ...] = ()
    approval_wait_seconds: float = Field(
        default=45,
        ge=0,
        le=3600,
        description="How long a call waits for a decision until the agent is asked to call again later.",
    )
    approval_expiry_seconds: float = Field(
        default=3600, gt=0, le=604_800, description="After which a call that nobody approved is denied."
    )


class ToolsMemory(Config):
    """The agent's Redis."""

    url: str
    credentials: str | None = None
    prefix: str = Field(default="", description="Before every key, so that agents sharing a server stay apart.")


class ToolLimits(Config):
    """Bounds of installing and running tools."""

    timeout_seconds: float = Field(default=60, gt=0, le=3600, description="Of one call.")
    install_timeout_seconds: float = Field(default=600, gt=0, le=7200, description="Of one install.")
    start_timeout_seconds: float = Field(
        default=120,
        gt=0,
        le=3600,
        description="From the start of a stdio server until its tools are listed; a server at a URL has "
        "upstreamTimeoutSeconds.",
    )
    output_bytes: int = Field(default=1_048_576, ge=1024, le=134_217_728, description="Of stdout and of stderr.")
    download_bytes: int = Field(default=536_870_912, ge=1024, description="Of one download.")
    unpacked_bytes: int = Field(default=2_147_483_648, ge=1024, description="Of one tool, unpacked.")
    unpacked_files: int = Field(default=50_000, ge=1, description="Of one tool, unpacked.")
    memory_bytes: int = Field(default=1_073_741_824, ge=16_777_216, description="Private memory of each process.")
    processes: int = Field(default=64, ge=1, le=4096, description="Of one call, at a time.")
    concurrency: int = Field(default=8, ge=1, le=256, description="Calls at a time.")
    upstream_timeout_seconds: float = Field(default=10, gt=0, le=600, description="Of an upstream's tools/list.")


class ToolsConfig(Config):
    """Everything toolproxy needs to know."""

    schema_version: Literal[1] = 1
    agent: str
    namespace: str = ""
    tools: tuple[PlannedTool, ...] = ()
    policy: ToolsPolicy = ToolsPolicy()
    memory: ToolsMemory | None = None
    listing: Literal["all", "search"] = Field(
        default="all", description="search: only find_tool and call_tool are listed, for large catalogues."
    )
    python_url: str = Field(default="", description="Package index for pypi: sources; empty: the public one.")
    npm_registry: str = Field(default="", description="Registry for npm: sources; empty: the public one.")
    index_folder: str | None = Field(default=None, description="Mounted index-url, npmrc and ca.crt.")
    capture_content: bool = Field(
        default=False, description="true: arguments and results are kept with recorded calls."
    )
    limits: ToolLimits = ToolLimits()
    decisions: tuple[ApprovalDecision, ...] = Field(default=(), description="About calls that wait for a person.")
    lock: ToolsLock = Field(
        default=ToolsLock(), description="What earlier Pods of the agent saw, and this one is held to."
    )


def configuration_digest(config: ToolsConfig) -> str:
    """sha256 of what spec and platform ask for. Without defaults, so that one that knows more fields agrees."""
    text = config.model_dump_json(exclude_defaults=True, exclude={"decisions", "lock"})
    return hashlib.sha256(text.encode()).hexdigest()
