"""What the platform decides: its settings, the document they are read from, and what follows from them."""

from agent_render.settings.platform import ContainerSize, Images, PlatformSettings, RuntimeImage, Runtimes

__all__ = ["ContainerSize", "Images", "PlatformSettings", "RuntimeImage", "Runtimes"]
