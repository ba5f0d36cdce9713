"""`agentberth console`: the agents of a cluster in a local web page."""

import argparse
import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.errors import UsageError
from agentberth.terminal import stderr

if TYPE_CHECKING:
    from agentberth.cluster.kubectl import Kubectl
    from agentberth.commands import Commands
    from agentberth.console.access import Api

_EPILOG = """\
Reads through kubectl, with your context and rights. It changes nothing except the tool calls that you approve or deny.
The page says what you may not read. The printed address contains a token that is new at each start. Ctrl-C ends the
console.

examples:
  agentberth console
  agentberth console --namespace agents --context staging
  agentberth console --port 8080
  agentberth console --in-cluster --port 8080 --probe-port 9800    as deploy/components/console runs it
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "console", summary="show the agents of a cluster in a local web page", epilog=_EPILOG, call=_call
    )
    parser.add_argument("-n", "--namespace", help="show only this namespace (default: all that you may list)")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("--port", type=_port, default=0, metavar="PORT", help="port of the page (default: a free one)")
    parser.add_argument(
        "--in-cluster",
        action="store_true",
        help="run in a Pod, read-only, with its ServiceAccount's rights and no token",
    )
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="HOST", help="accept this Host too, for a proxy in front"
    )
    parser.add_argument("--probe-port", type=_port, metavar="PORT", help="port that serves /livez and /readyz")


def _port(text: str) -> int:
    """Raises ArgumentTypeError for what is no port."""
    if text.isdecimal() and 0 <= int(text[:6]) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port such as 8080")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.console.access import through_kubectl  # noqa: PLC0415 - likewise
    from agentberth.console.incluster import in_cluster  # noqa: PLC0415 - likewise

    if options.in_cluster:
        if options.context:
            raise UsageError("--context is not an option of --in-cluster: a Pod has one cluster")
        return asyncio.run(_serve(in_cluster(os.environ), None, options))
    kubectl = Kubectl.find(context=options.context, namespace=None)
    return asyncio.run(_serve(through_kubectl(kubectl), kubectl, options))


async def _serve(
    access: contextlib.AbstractAsyncContextManager["Api"], kubectl: "Kubectl | None", options: argparse.Namespace
) -> int:
    """Without `kubectl` in a Pod, where whoever gets to the page was let in by something in front of it."""
    from agentberth.console.clustersource import ClusterSource  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.console.probes import answering_probes  # noqa: PLC0415 - likewise
    from agentberth.console.server import ConsoleServer, serving  # noqa: PLC0415 - likewise

    received, stop = _stopping()
    async with access as api, contextlib.AsyncExitStack() as stack:
        source = ClusterSource(api, _title(options), options.namespace or "", kubectl)
        server = ConsoleServer(source, token="" if options.in_cluster else None, hosts=frozenset(options.allowed_host))
        address = await stack.enter_async_context(serving(server, port=options.port))
        if options.probe_port is not None:
            await stack.enter_async_context(answering_probes(options.probe_port, lambda: source.is_listed))
        out = stderr()
        out.line(f"console: {out.paint(address, 'cyan')}")
        following = asyncio.create_task(source.follow(), name="follow the cluster")
        await stop.wait()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    return 128 + received[0]


def _title(options: argparse.Namespace) -> str:
    return "this cluster" if options.in_cluster else options.context or "current kubectl context"


def _stopping() -> tuple[list[int], asyncio.Event]:
    """The signals that came, and what the first of them sets."""
    received: list[int] = []
    stop = asyncio.Event()

    def receive(number: int) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, receive, number)
    return received, stop
