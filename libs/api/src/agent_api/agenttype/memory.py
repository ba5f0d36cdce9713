"""`spec.memory`: a Redis for the agent."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Matches, OpenModel, Rule
from agent_api.agenttype.scalars import ObjectName, Size, Url, size_bytes

MEMORY_MIN_BYTES = 1 << 20
RedisUser = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(r"[-_.a-zA-Z0-9]+", "must be a user's name: letters, digits, '-', '_' and '.'"),
]


class MemoryConfig(OpenModel):
    """Settings of the memory. Unknown keys are kept and named in a condition."""

    persistence: bool = Field(default=False, description="redis: keep the data on a PersistentVolumeClaim.")
    url: Annotated[Url, Matches(r"rediss?://[^\s]+", "must be a redis:// or rediss:// address")] | None = Field(
        default=None, description="redis: use this server instead of making one."
    )
    credentials_secret: ObjectName | None = Field(
        default=None,
        description="Secret with the password of the server at url, and ca.crt where its certificate needs one.",
    )
    username: RedisUser | None = Field(
        default=None, description="User of the server at url. Default: the server's default user."
    )
    deletion_policy: Literal["retain", "delete"] | None = Field(
        default=None,
        description="What becomes of the claim of a persistent memory when the AgentType is deleted. Default: retain.",
    )
    storage_class: ObjectName | None = Field(
        default=None,
        description="redis: of the claim of a persistent memory, when it is made. Default: the platform's, else the"
        " cluster's.",
    )
    eviction_policy: (
        Literal[
            "noeviction",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
        ]
        | None
    ) = Field(default=None, description="Default: noeviction with persistence, else allkeys-lru.")


class Memory(ApiModel):
    """A Redis for the agent."""

    type: Literal["redis", "inmemory"] = Field(
        default="redis", description="redis: one for all replicas. inmemory: a sidecar, gone with the Pod."
    )
    size: Size = Field(
        default="256Mi",
        description="Of the data. With persistence the claim is three times as large, "
        "because the log of changes is rewritten beside itself.",
    )
    config: MemoryConfig = MemoryConfig()

    @property
    def own_server(self) -> bool:
        """Whether the platform runs a server for this agent beside its Pods."""
        return self.type == "redis" and self.config.url is None

    @property
    def persistent(self) -> bool:
        """Whether the data is kept on a claim."""
        return self.own_server and self.config.persistence

    @property
    def eviction_policy(self) -> str:
        """Of the platform's own memory."""
        return self.config.eviction_policy or ("noeviction" if self.persistent else "allkeys-lru")

    rules: ClassVar = (
        Rule(
            message="persistence, url and credentialsSecret are for type: redis",
            reason="The setting would have no effect, and data thought to be kept would be lost.",
            cel="self.type == 'redis' || !has(self.config) || (!has(self.config.url) "
            "&& !has(self.config.credentialsSecret) && (!has(self.config.persistence) || !self.config.persistence))",
            holds=lambda m: (
                m.type == "redis" or not (m.config.url or m.config.credentials_secret or m.config.persistence)
            ),
            field="config",
        ),
        Rule(
            message="credentialsSecret and username are for a server at config.url",
            reason="The platform makes the password of its own server.",
            cel="!has(self.config) || has(self.config.url) "
            "|| (!has(self.config.credentialsSecret) && !has(self.config.username))",
            holds=lambda m: bool(m.config.url) or not (m.config.credentials_secret or m.config.username),
            field="config",
        ),
        Rule(
            message="deletionPolicy is for a persistent memory: set persistence",
            reason="Without a claim there is nothing to retain, though it would seem so.",
            cel="!has(self.config) || !has(self.config.deletionPolicy) "
            "|| (has(self.config.persistence) && self.config.persistence)",
            holds=lambda m: m.config.deletion_policy is None or m.config.persistence,
            field="config",
        ),
        Rule(
            message="storageClass is for a persistent memory: set persistence",
            reason="Without a claim it would silently have no effect.",
            cel="!has(self.config) || !has(self.config.storageClass) "
            "|| (has(self.config.persistence) && self.config.persistence)",
            holds=lambda m: m.config.storage_class is None or m.config.persistence,
            field="config",
        ),
        Rule(
            message="evictionPolicy is for the platform's own memory, not for a server at url",
            reason="The platform cannot make another server evict.",
            cel="!has(self.config) || !has(self.config.url) || !has(self.config.evictionPolicy)",
            holds=lambda m: not m.config.url or m.config.eviction_policy is None,
            field="config",
        ),
        Rule(
            message="size must be at least 1Mi",
            reason="Redis takes 0 for no bound, and needs some room for itself.",
            cel="quantity(self.size).compareTo(quantity('1Mi')) >= 0",
            holds=lambda m: size_bytes(m.size) >= MEMORY_MIN_BYTES,
            field="size",
        ),
        Rule(
            message="persistence is for the platform's own redis, not for a server at url",
            reason="The platform cannot make another server keep its data.",
            cel="!has(self.config) || !has(self.config.url) || !has(self.config.persistence) "
            "|| !self.config.persistence",
            holds=lambda m: not (m.config.url and m.config.persistence),
            field="config",
        ),
        Rule(
            message="credentials in the url would be readable by anyone: use credentialsSecret",
            reason="Anyone who may read the AgentType could read the password.",
            cel="!has(self.config) || !has(self.config.url) || !self.config.url.contains('@')",
            holds=lambda m: "@" not in (m.config.url or ""),
            field="config",
        ),
    )
