"""Security contexts, in the form that Kubernetes has them in."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api import layout
from agent_api.agenttype.rule import ApiModel, Rule, cel_list
from agent_api.agenttype.scalars import Text

Capability = Annotated[str, StringConstraints(max_length=64)]


class Capabilities(ApiModel):
    """Linux capabilities. All are dropped by default."""

    add: Annotated[tuple[Capability, ...], Field(max_length=16)] = Field(
        default=(), description="Only NET_BIND_SERVICE, for ports below 1024."
    )
    drop: Annotated[tuple[Capability, ...], Field(max_length=48)] = Field(
        default=(), description="With the restricted profile always ALL, whatever is said here."
    )

    rules: ClassVar = (
        Rule(
            message="only NET_BIND_SERVICE may be added: agents run without privileges",
            reason="Any other capability reaches beyond the container; PodSecurity refuses it too.",
            cel="!has(self.add) || self.add.all(c, c == 'NET_BIND_SERVICE')",
            holds=lambda c: all(name == "NET_BIND_SERVICE" for name in c.add),
            field="add",
        ),
    )


class SeccompProfile(ApiModel):
    """Seccomp profile; RuntimeDefault unless a profile of the node is named."""

    type: Literal["RuntimeDefault", "Localhost"] = Field(
        default="RuntimeDefault", description="Unconfined is not offered: it would switch the filter off."
    )
    localhost_profile: Text | None = Field(
        default=None, description="With Localhost: the profile's file below the kubelet's seccomp folder."
    )

    rules: ClassVar = (
        Rule(
            message="type: Localhost needs localhostProfile, and only Localhost has one",
            reason="The API server would refuse every Pod.",
            cel="(self.type == 'Localhost') == has(self.localhostProfile)",
            holds=lambda p: (p.type == "Localhost") == (p.localhost_profile is not None),
            field="localhostProfile",
        ),
        Rule(
            message="localhostProfile must be a path below the kubelet's seccomp folder: not absolute, no '..'",
            reason="The API server would refuse every Pod.",
            cel="!has(self.localhostProfile) || (self.localhostProfile != '' "
            "&& !self.localhostProfile.startsWith('/') && !('..' in self.localhostProfile.split('/')))",
            holds=lambda p: (
                p.localhost_profile is None
                or (
                    (p.localhost_profile != "" and ".." not in p.localhost_profile.split("/"))
                    and not p.localhost_profile.startswith("/")
                )
            ),
            field="localhostProfile",
        ),
    )


CONTAINER_LABELS = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")


class SeLinuxOptions(ApiModel):
    """SELinux labels."""

    level: Text | None = Field(default=None, description="Such as s0:c123,c456.")
    type: Text | None = Field(default=None, description=f"One of {', '.join(CONTAINER_LABELS)}.")

    rules: ClassVar = (
        Rule(
            message=f"type must be one of {', '.join(CONTAINER_LABELS)}: others confine a container less",
            reason="A label such as spc_t switches SELinux off for the container; PodSecurity refuses it too.",
            cel=f"!has(self.type) || self.type in {cel_list(CONTAINER_LABELS)}",
            holds=lambda s: s.type is None or s.type in CONTAINER_LABELS,
            field="type",
        ),
    )


UserId = Annotated[int, Field(ge=0, le=2147483647)]

PLATFORM_UIDS = (layout.TOOLPROXY_UID, layout.LLMGATEWAY_UID, layout.MEMORY_UID, layout.INITENV_UID)

_OWN_USER = (
    Rule(
        message=f"user ids {', '.join(map(str, PLATFORM_UIDS))} belong to the platform's containers: choose another",
        reason="The user is a wall between containers of a Pod: with a sidecar's id the agent would be inside it.",
        cel=f"!has(self.runAsUser) || !(self.runAsUser in {cel_list(PLATFORM_UIDS)})",
        holds=lambda s: s.run_as_user not in PLATFORM_UIDS,
        field="runAsUser",
    ),
    Rule(
        message="root is not allowed: use another runAsUser than 0",
        reason="Root in a container owns every file that a mount shows it.",
        cel="!has(self.runAsUser) || self.runAsUser != 0",
        holds=lambda s: s.run_as_user != 0,
        field="runAsUser",
    ),
    Rule(
        message="runAsNonRoot cannot be switched off here: security.profile: baseline honours the image's own user",
        reason="An image without a user of its own would start as root.",
        cel="!has(self.runAsNonRoot) || self.runAsNonRoot",
        holds=lambda s: s.run_as_non_root is not False,
        field="runAsNonRoot",
    ),
)


class SecurityContext(ApiModel):
    """Security context of the agent container. It can only ask for what the Pod's hardening allows."""

    run_as_user: UserId | None = Field(
        default=None,
        description="Default: the Pod context's user, else 10001 with the restricted profile, else the image's own.",
    )
    run_as_group: UserId | None = Field(default=None, description="Default: 10000, the group of the Pod's volumes.")
    run_as_non_root: bool | None = Field(
        default=None,
        description="true is the only value: the kubelet refuses root. Default: true with the restricted profile.",
    )
    read_only_root_filesystem: bool | None = Field(default=None, description="false needs security.profile: baseline.")
    allow_privilege_escalation: bool | None = Field(
        default=None, description="false is the only value; it is set in any case."
    )
    privileged: bool | None = Field(default=None, description="false is the only value.")
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SeLinuxOptions | None = None

    rules: ClassVar = (
        *_OWN_USER,
        Rule(
            message="privileged containers are not allowed",
            reason="A privileged container is root on the node.",
            cel="!has(self.privileged) || !self.privileged",
            holds=lambda s: not s.privileged,
            field="privileged",
        ),
        Rule(
            message="privilege escalation is not allowed",
            reason="A setuid program would get rights that the container was not given.",
            cel="!has(self.allowPrivilegeEscalation) || !self.allowPrivilegeEscalation",
            holds=lambda s: not s.allow_privilege_escalation,
            field="allowPrivilegeEscalation",
        ),
    )


class PodSecurityContext(ApiModel):
    """Security context of the Pod, merged over the platform's own."""

    run_as_user: UserId | None = Field(
        default=None,
        description="User of the agent container when its own context names none. Init and sidecars keep theirs.",
    )
    run_as_group: UserId | None = Field(
        default=None,
        description="Group of the agent container. Default: 10000, that of the volumes. Init and sidecars keep theirs.",
    )
    run_as_non_root: bool | None = Field(default=None, description="true is the only value.")
    fs_group: UserId | None = Field(
        default=None, description="Group of the volumes. Default 10000, shared by all containers."
    )
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = Field(
        default=None,
        description="When files get the volume's group. Default: OnRootMismatch, quick on large volumes.",
    )
    supplemental_groups: Annotated[tuple[UserId, ...], Field(max_length=32)] = Field(
        default=(), description="Further groups of all containers, such as one that a claim's files belong to."
    )
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SeLinuxOptions | None = None

    rules: ClassVar = _OWN_USER
