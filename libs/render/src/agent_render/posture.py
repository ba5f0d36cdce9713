"""What of an agent is weaker than the platform's default, for the condition `SecurityPosture`."""

from collections.abc import Iterator

from agent_api.agenttype import AgentType
from agent_render.parts.hardening import profile
from agent_render.parts.placement import pod_settings
from agent_render.settings import PlatformSettings

CLOUD_IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
FURTHER_NETWORKS = ("k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io/default-network")


def weaknesses(agent: AgentType, settings: PlatformSettings) -> tuple[str, ...]:
    """One sentence for each; empty when nothing is weaker."""
    return (
        *_of_container(agent, settings),
        *_of_contexts(agent),
        *_of_network(agent),
        *_of_pod(agent, settings),
        *_of_volumes(agent),
        *_of_preparation(agent),
    )


def _of_container(agent: AgentType, settings: PlatformSettings) -> Iterator[str]:
    if profile(agent, settings) == "baseline":
        yield "the agent container has profile baseline: its image's own user and a writable root"
    own = agent.spec.agent.container.security_context if agent.spec.agent.container else None
    if own and own.read_only_root_filesystem is False:
        yield "the agent container's root file system is writable"
    if own and own.capabilities and own.capabilities.add:
        yield f"the agent container has capabilities {', '.join(own.capabilities.add)}"


def _of_contexts(agent: AgentType) -> Iterator[str]:
    """What the API allows and is still weaker than what we would choose."""
    container, pod = agent.spec.agent.container, agent.spec.security.pod_security_context
    own = container.security_context if container else None
    for place, context in (("container.securityContext", own), ("podSecurityContext", pod)):
        if context is None:
            continue
        seccomp = context.seccomp_profile
        if seccomp and seccomp.type == "Localhost":
            yield f"{place}: seccomp follows the node's profile {seccomp.localhost_profile}"
        if context.run_as_group == 0:
            yield f"{place}: the agent container has root's group"
    if pod is not None and (pod.fs_group == 0 or 0 in pod.supplemental_groups):
        yield "podSecurityContext: all containers have root's group"


def _of_network(agent: AgentType) -> Iterator[str]:
    policy = agent.spec.security.network_policy
    if policy is not None and not policy.enabled:
        yield "security.networkPolicy is off"
    elif policy is not None and policy.egress is not None:
        everything = [cidr for cidr in policy.egress.allowed_cidrs if cidr.endswith("/0")]
        if everything:
            yield f"security.networkPolicy opens {', '.join(everything)}"
    networks = agent.spec.tools.policy.allowed_networks if agent.spec.tools else ()
    if everything := [cidr for cidr in networks if cidr.endswith("/0")]:
        yield f"tools.policy.allowedNetworks opens {', '.join(everything)}"


def _of_pod(agent: AgentType, settings: PlatformSettings) -> Iterator[str]:
    own, pod = agent.spec.pod, pod_settings(agent, settings)
    for name in FURTHER_NETWORKS:
        if name in pod.annotations:
            yield f"pod.annotations: {name} attaches the Pod to networks that no NetworkPolicy covers"
    for name in CLOUD_IDENTITIES:
        account = pod.service_account.annotations if pod.service_account else {}
        if name in account:
            yield f"pod.serviceAccount: anyone who can steer the agent has the rights of {account[name]} ({name})"
    if own is None:
        return
    if any(one.key is None and one.effect != "PreferNoSchedule" for one in own.tolerations):
        yield "pod.tolerations: the agent may run on every node, those of the control plane included"
    if own.dns_config and own.dns_config.nameservers:
        yield f"pod.dnsConfig: names are also resolved by {', '.join(own.dns_config.nameservers)}"
    expected = settings.pod.runtime_class_name
    if expected and own.runtime_class_name and own.runtime_class_name != expected:
        yield f"pod.runtimeClassName is {own.runtime_class_name} instead of the platform's {expected}"


def _of_volumes(agent: AgentType) -> Iterator[str]:
    for volume in agent.spec.agent.volumes:
        if volume.csi is not None:
            yield f"volumes.{volume.name}: the CSI driver {volume.csi.driver} decides what it exposes of the node"
        for source in volume.projected.sources if volume.projected else ():
            audience = source.service_account_token.audience
            yield f"volumes.{volume.name}: the agent has a token of its account for {audience}"


def _of_preparation(agent: AgentType) -> Iterator[str]:
    sdk = agent.spec.agent.sdk
    if sdk is not None and sdk.allow_builds:
        yield "environment.sdk.allowBuilds: code of packages runs beside the credentials of preparation"
    if sdk is not None and sdk.allow_scripts:
        names = ", ".join(sdk.allow_scripts)
        yield f"environment.sdk.allowScripts: install scripts of {names} run beside the credentials of preparation"
