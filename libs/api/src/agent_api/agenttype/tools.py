"""`spec.tools`: what the tool proxy installs and serves, and within which bounds."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, ListMap, Matches, Rule
from agent_api.agenttype.scalars import Cidr, KubernetesObject, ObjectName, Size, is_network
from agent_api.agenttype.toolrules import ToolApprovals, ToolPattern, ToolRate, ToolRule
from agent_api.toolsources import describe_forms, manifest_pattern

ToolName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    Matches(
        r"[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?",
        "must be a tool name: letters, digits, '-', '_' and '.'",
    ),
]
ToolNames = Annotated[tuple[ToolName, ...], Field(max_length=64)]
ToolSource = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Matches(
        manifest_pattern(),
        f"must be {describe_forms(in_manifest=True)}",
    ),
]


class CustomTool(ApiModel):
    """A tool of the agent's own. It is required unless `tools.optional` names it."""

    name: ToolName = Field(description="Unique in the list; tools.optional and the policy refer to it.")
    version: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="For the status and the lock file; the source decides what is installed."
    )
    source: ToolSource | None = Field(
        default=None,
        description="Where it comes from. Plain http is refused: a download could be changed on its way.",
    )
    server_json: KubernetesObject | None = Field(
        default=None,
        description="A server.json of the MCP registry in place of source: its first npm or pypi package on stdio, "
        "else its first streamable-http remote. config is laid over what it implies.",
    )
    sha256: (
        Annotated[
            str,
            StringConstraints(max_length=64),
            Matches(r"[0-9a-f]{64}", "must be a sha256: 64 lower-case hex digits"),
        ]
        | None
    ) = Field(default=None, description="Without it the first download is pinned, if the policy allows.")
    credentials_secret: ObjectName | None = Field(default=None, description="Mounted in toolproxy only.")
    config: KubernetesObject | None = Field(
        default=None,
        description="Arguments schema, environment and filters of the tool: see docs/reference/tools.md.",
    )

    rules: ClassVar = (
        Rule(
            message="a custom tool needs either source or serverJson",
            reason="Where it comes from would be said nowhere, or twice.",
            cel="has(self.source) != has(self.serverJson)",
            holds=lambda t: (t.source is None) != (t.server_json is None),
            field="source",
        ),
    )


ApprovedName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ApprovedHash = Annotated[
    str, StringConstraints(max_length=64), Matches(r"[0-9a-f]{64}", "must be a sha256: 64 lower-case hex digits")
]


class ToolPolicy(ApiModel):
    """What tools may be and do."""

    pinning: Literal["Enforce", "EnforceSchema", "Warn", "Off"] = Field(
        default="Enforce",
        description="What happens when a tool's definition or bytes change after first use: Enforce blocks it until it "
        "is approved; EnforceSchema lets an edit of its texts through; Warn logs it.",
    )
    approved: Annotated[dict[ApprovedName, ApprovedHash], Field(max_length=256)] = Field(
        default={},
        description="Changes that were looked at: by tool (server__tool for a tool of an MCP server), the hash of the "
        "new definition or the digest of the new install. `agentberth tools approve` writes it.",
    )
    require_checksum: bool = Field(default=False, description="Refuse a download that has no sha256.")
    allow: Annotated[tuple[ToolPattern, ...], Field(max_length=64)] = Field(
        default=(), description="Glob patterns of tool names; empty allows all."
    )
    deny: Annotated[tuple[ToolPattern, ...], Field(max_length=64)] = Field(
        default=(), description="Glob patterns of tool names; wins over allow."
    )
    allowed_networks: Annotated[tuple[Cidr, ...], Field(max_length=64)] = Field(
        default=(),
        description="Networks beside the public addresses that downloads and MCP servers may be at, such as "
        "10.20.0.0/16. The agent's NetworkPolicy opens them too: it holds for the whole Pod.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(default=60, description="Of one tool call.")
    call_rules: Annotated[tuple[ToolRule, ...], Field(max_length=64)] = Field(
        default=(),
        alias="rules",
        description="The first rule that a call falls under decides; a call that falls under none is allowed.",
    )
    rates: Annotated[tuple[ToolRate, ...], Field(max_length=32)] = Field(
        default=(), description="How often tools may be called; more is refused."
    )
    approvals: ToolApprovals = ToolApprovals()

    rules: ClassVar = (
        Rule(
            message="allowedNetworks has an entry that is not a network: write it as 10.0.0.0/8 or fd12::/16",
            reason="The tool proxy would refuse its whole configuration.",
            cel="!has(self.allowedNetworks) || self.allowedNetworks.all(c, isCIDR(c))",
            holds=lambda p: all(map(is_network, p.allowed_networks)),
            field="allowedNetworks",
        ),
    )

    @property
    def asks(self) -> bool:
        """Whether a person is asked about some calls."""
        return any(rule.action == "ask" for rule in self.call_rules)


class ToolLimits(ApiModel):
    """Bounds of installing and running tools. The defaults are in docs/reference/tools.md."""

    install_timeout_seconds: Annotated[int, Field(ge=1, le=7200)] | None = Field(
        default=None, description="Of one install."
    )
    start_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None, description="From the start of a stdio server until its tools are listed."
    )
    upstream_timeout_seconds: Annotated[int, Field(ge=1, le=600)] | None = Field(
        default=None, description="Of a server's tools/list, and until a server at a URL is connected."
    )
    output_size: Size | None = Field(default=None, description="Kept of a program's stdout, and of its stderr.")
    download_size: Size | None = Field(default=None, description="Of one download.")
    unpacked_size: Size | None = Field(default=None, description="Of one tool, unpacked.")
    unpacked_files: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Of one tool, unpacked."
    )
    memory: Size | None = Field(
        default=None,
        description="Private memory of each process. At most the container's limit without the proxy's own share.",
    )
    processes: Annotated[int, Field(ge=1, le=4096)] | None = Field(default=None, description="Of one call, at a time.")
    concurrency: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="Calls of programs at a time; more wait."
    )


class Tools(ApiModel):
    """Tools that toolproxy installs and serves over MCP and REST."""

    required: ToolNames = Field(default=(), description="The Pod is not ready without them.")
    optional: ToolNames = Field(default=(), description="A failure only degrades the agent.")
    custom: Annotated[tuple[CustomTool, ...], Field(max_length=64), ListMap("name")] = Field(
        default=(), description="Tools that the platform's catalogue does not have."
    )
    policy: ToolPolicy = ToolPolicy()
    listing: Literal["all", "search"] = Field(
        default="all",
        description="search: clients are shown find_tool and call_tool alone, for more tools than a model should read.",
    )
    limits: ToolLimits = ToolLimits()
    index_secret: ObjectName | None = Field(
        default=None,
        description="Secret with index-url, npmrc and ca.crt, each optional: where packages of tools come from. "
        "Mounted in toolproxy only.",
    )

    rules: ClassVar = (
        Rule(
            message="a tool is named in both required and optional: keep one of them",
            reason="It would be unclear whether a failure keeps the agent from starting.",
            cel="!has(self.required) || !has(self.optional) || !self.required.exists(t, t in self.optional)",
            holds=lambda t: not set(t.required) & set(t.optional),
            field="optional",
        ),
        Rule(
            message="policy.requireChecksum is on: every custom tool from https:// needs sha256",
            reason="The download would be refused in the Pod: better now than at the start.",
            cel="!has(self.policy) || !self.policy.requireChecksum || !has(self.custom) || self.custom.all(t, "
            "has(t.sha256) || !has(t.source) || !t.source.matches('^(mcp[+]stdio:)?https://'))",
            holds=lambda t: (
                not t.policy.require_checksum
                or all(
                    c.sha256 or not (c.source or "").removeprefix("mcp+stdio:").startswith("https://") for c in t.custom
                )
            ),
            field="custom",
        ),
    )
