"""`agentberth console`: the agents of a cluster in a local web page."""

import argparse
import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.terminal import stderr

if TYPE_CHECKING:
    from agentberth.cluster.kubectl import Kubectl
    from agentberth.commands import Commands

_EPILOG = """\
Reads through kubectl, with your context and rights; what you may not read is said on the page. It
changes nothing but what you decide about calls that wait for approval. The address that is printed
has a token of this start; Ctrl-C ends the console.

examples:
  agentberth console
  agentberth console --namespace agents --context staging
  agentberth console --port 8080
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(
        commands, "console", summary="show the agents of a cluster in a local web page", epilog=_EPILOG, call=_call
    )
    parser.add_argument("-n", "--namespace", help="only this one (default: all that you may list)")
    parser.add_argument("--context", help="kubectl context (default: the current one)")
    parser.add_argument("--port", type=_port, default=0, metavar="PORT", help="of the page (default: a free one)")


def _port(text: str) -> int:
    """Raises ArgumentTypeError for what is no port."""
    if text.isdecimal() and 0 <= int(text[:6]) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port such as 8080")


def _call(options: argparse.Namespace) -> int:
    from agentberth.cluster.kubectl import Kubectl  # noqa: PLC0415 - keeps `--help` quick

    kubectl = Kubectl.find(context=options.context, namespace=None)
    return asyncio.run(_serve(kubectl, options))


async def _serve(kubectl: "Kubectl", options: argparse.Namespace) -> int:
    from agentberth.console.access import through_kubectl  # noqa: PLC0415 - keeps `--help` quick
    from agentberth.console.clustersource import ClusterSource  # noqa: PLC0415 - likewise
    from agentberth.console.server import ConsoleServer, serving  # noqa: PLC0415 - likewise

    received: list[int] = []
    stop = asyncio.Event()

    def receive(number: int) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, receive, number)
    title = options.context or "current kubectl context"
    async with through_kubectl(kubectl) as api:
        source = ClusterSource(api, title, options.namespace or "", kubectl)
        async with serving(ConsoleServer(source), port=options.port) as address:
            out = stderr()
            out.line(f"console: {out.paint(address, 'cyan')}")
            following = asyncio.create_task(source.follow(), name="follow the cluster")
            await stop.wait()
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
    return 128 + received[0]
