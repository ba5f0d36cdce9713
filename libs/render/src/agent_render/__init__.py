"""Pure rendering: an AgentType and the platform's settings in, Kubernetes manifests out.

`render` gives every object of an agent; `pod_template` the Pod alone, which is what `agentberth run` starts.
A part of the Pod (init container, sidecar) is one module that returns a `PodPart`, listed once in
`agent_render.objects.pod.PARTS`; a kind of object is one module, listed once in `agent_render.manifests.CHILDREN`.
"""

from agent_render.containers.llmgateway import unpriced
from agent_render.errors import NoPriceError, RenderError, SettingsError, UnsupportedError
from agent_render.manifests import render
from agent_render.objects.pod import pod_template
from agent_render.settings import PlatformSettings
from agent_render.settings.document import parse_settings

__all__ = [
    "NoPriceError",
    "PlatformSettings",
    "RenderError",
    "SettingsError",
    "UnsupportedError",
    "parse_settings",
    "pod_template",
    "render",
    "unpriced",
]
