"""`spec.agent.volumes` and `volumeMounts`: what of the cluster the agent container sees, in Kubernetes' own form.

There is no hostPath, and no mount over a folder of the platform. Volumes of the Pod's sidecars stay out of reach: an
author's volumes have names of their own in the Pod.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.paths import OWNED_MESSAGE, MountPath, free, is_free
from agent_api.agenttype.rule import ApiModel, ListMap, Matches, Rule
from agent_api.agenttype.scalars import DataKey, Image, ObjectName, RelativePath, Size, Text, VolumePath

VolumeName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits and '-', and start and end with a letter or digit",
    ),
]
FileMode = Annotated[int, Field(ge=0, le=0o777)]
AttributeName = Annotated[str, StringConstraints(max_length=128)]


class KeyToPath(ApiModel):
    """One key of a ConfigMap or Secret as a file."""

    key: DataKey = Field(description="Key in its data.")
    path: VolumePath = Field(description="File in the volume.")
    mode: FileMode | None = Field(
        default=None, description="Permission bits, in decimal. Default: those of the volume."
    )


KeyPaths = Annotated[tuple[KeyToPath, ...], Field(max_length=64)]


class PersistentVolumeClaim(ApiModel):
    """A claim of the agent's namespace."""

    claim_name: ObjectName = Field(description="Name of the claim.")
    read_only: bool = Field(default=False, description="true: mounted read-only, whatever the mount says.")


class ConfigMapVolume(ApiModel):
    """A ConfigMap of the agent's namespace as files."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    items: KeyPaths = Field(default=(), description="Keys to show. Default: all of them.")
    default_mode: FileMode | None = Field(default=None, description="Permission bits, in decimal. Default: 420 (0644).")
    optional: bool | None = Field(default=None, description="true: the Pod starts without it.")


class SecretVolume(ApiModel):
    """A Secret of the agent's namespace as files."""

    secret_name: ObjectName = Field(description="Name of the Secret.")
    items: KeyPaths = Field(default=(), description="Keys to show. Default: all of them.")
    default_mode: FileMode | None = Field(
        default=None, description="Permission bits, in decimal. Default: 288 (0440), for the group of the Pod."
    )
    optional: bool | None = Field(default=None, description="true: the Pod starts without it.")


class EmptyDirVolume(ApiModel):
    """A folder that lives as long as the Pod."""

    medium: Literal["", "Memory"] = Field(
        default="", description="Memory: in RAM, which counts against the memory limit of the container."
    )
    size_limit: Size | None = Field(
        default=None, description="The Pod is evicted above it. Default: the platform's `tmpSize`."
    )


class SecretReference(ApiModel):
    """A Secret of the agent's namespace, by name."""

    name: ObjectName = Field(description="Name of the Secret.")


class CsiVolume(ApiModel):
    """An ephemeral volume of a CSI driver, such as a secrets store."""

    driver: Annotated[ObjectName, StringConstraints(max_length=63)] = Field(description="Name of the driver.")
    read_only: bool | None = Field(default=None, description="true: read-only. Default: the driver's.")
    fs_type: Annotated[str, StringConstraints(max_length=32)] | None = Field(
        default=None, description="File system to mount. Default: the driver's."
    )
    volume_attributes: Annotated[dict[AttributeName, Text], Field(max_length=32)] = Field(
        default_factory=dict, description="Settings of the driver."
    )
    node_publish_secret_ref: SecretReference | None = None


class ImageVolume(ApiModel):
    """The files of a container image or OCI artefact, read-only. The cluster must have image volumes switched on."""

    reference: Image = Field(description="Image or artefact.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="Default: Kubernetes' own, Always for :latest."
    )


class ServiceAccountToken(ApiModel):
    """A token of the agent's account, for one audience."""

    audience: Annotated[str, StringConstraints(min_length=1, max_length=512)] = Field(
        description="Who the token is for, such as sts.amazonaws.com or vault. It is not accepted elsewhere."
    )
    expiration_seconds: Annotated[int, Field(ge=600, le=86400)] = Field(
        default=3600, description="How long one is good; the kubelet renews the file before that."
    )
    path: VolumePath = Field(default="token", description="File in the volume.")


class ProjectedSource(ApiModel):
    """One part of a projected volume."""

    service_account_token: ServiceAccountToken


class ProjectedVolume(ApiModel):
    """Tokens of the agent's account. ConfigMaps and Secrets are volumes of their own."""

    sources: Annotated[tuple[ProjectedSource, ...], Field(min_length=1, max_length=8)] = Field(
        description="Tokens, each a file of the volume."
    )


SOURCES = ("persistentVolumeClaim", "configMap", "secret", "emptyDir", "csi", "image", "projected")


class Volume(ApiModel):
    """A volume of the agent container. There is no hostPath: nothing of the node is shown."""

    name: VolumeName = Field(description="Unique in the list; volumeMounts refer to it.")
    persistent_volume_claim: PersistentVolumeClaim | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    csi: CsiVolume | None = None
    image: ImageVolume | None = None
    projected: ProjectedVolume | None = None

    rules: ClassVar = (
        Rule(
            message=f"a volume has exactly one of {', '.join(SOURCES)}",
            reason="Kubernetes refuses a volume of two kinds or none.",
            cel=f"[{', '.join(f'has(self.{source})' for source in SOURCES)}].filter(x, x).size() == 1",
            holds=lambda v: v.kind is not None,
        ),
    )

    @property
    def kind(self) -> str | None:
        """Which of SOURCES it is; None when it is several or none."""
        found = [
            info.alias or name
            for name, info in type(self).model_fields.items()
            if name != "name" and getattr(self, name) is not None
        ]
        return found[0] if len(found) == 1 else None


class VolumeMount(ApiModel):
    """Where the agent container sees a volume."""

    name: VolumeName = Field(description="One of agent.volumes.")
    mount_path: MountPath = Field(description="Folder in the agent container. No two mounts have the same.")
    sub_path: RelativePath | None = Field(
        default=None,
        description="Part of the volume to show. A ConfigMap or Secret shown so does not follow changes.",
    )
    read_only: bool = Field(default=False, description="true: the agent cannot write there.")

    rules: ClassVar = (
        Rule(
            message=OWNED_MESSAGE,
            reason="A second mount over them would hide what was prepared, or break the container.",
            cel=is_free("self.mountPath"),
            holds=lambda m: free(m.mount_path),
            field="mountPath",
        ),
    )


Volumes = Annotated[tuple[Volume, ...], Field(max_length=32), ListMap("name")]
VolumeMounts = Annotated[tuple[VolumeMount, ...], Field(max_length=32), ListMap("mountPath")]
