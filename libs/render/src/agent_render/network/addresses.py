"""Networks as NetworkPolicies name them: a block, and what is left out of it."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from agent_render.errors import UnsupportedError
from agent_render.identity import Manifest

Block = IPv4Network | IPv6Network
EVERYWHERE = ("0.0.0.0/0", "::/0")


def parse_block(text: str, field: str) -> Block:
    """A network, or the one address that `text` is. Raises UnsupportedError, in the words of `field`."""
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise UnsupportedError(f"{field}: {text} is not a network: write it as 10.0.0.0/8") from error


def open_block(text: str, field: str, *, blocked: Iterable[str]) -> Manifest:
    """The peer that opens `text` without the platform's blocked networks.

    Raises UnsupportedError when nothing would be left: an opening without effect is a trap.
    """
    block = parse_block(text, field)
    closed = [parse_block(each, "network.blockedCidrs") for each in blocked]
    cover = next((each for each in closed if is_within(block, each)), None)
    if cover is not None:
        raise UnsupportedError(
            f"{field}: {text} is within {cover}, which the platform blocks for all agents (network.blockedCidrs)"
        )
    return peer(block, closed)


def peer(block: Block, closed: Iterable[Block]) -> Manifest:
    """An ipBlock; of `closed` only what lies in it and in no other, as the API server wants it."""
    inside = sorted({each for each in closed if is_within(each, block)}, key=_order)
    left_out = [str(each) for each in inside if not any(each != other and is_within(each, other) for other in inside)]
    return {"ipBlock": {"cidr": str(block), **({"except": left_out} if left_out else {})}}


def is_within(inner: Block, outer: Block) -> bool:
    """Whether every address of `inner` is one of `outer`."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _order(block: Block) -> tuple[int, int, int]:
    return block.version, int(block.network_address), block.prefixlen
