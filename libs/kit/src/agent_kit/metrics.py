"""Prometheus metrics with one registry per service.

The library's global registry is process state that every import may write to: two services in one test
process, or one service built twice, would collide in it.
"""

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder


def new_registry() -> CollectorRegistry:
    """A registry that already has the process's and the garbage collector's standard metrics.

    Reads /proc once: a test that forbids blocking calls makes it outside the event loop.
    """
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def render_metrics(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The body and its content type, in the text format that a scraper's Accept header asks for."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
