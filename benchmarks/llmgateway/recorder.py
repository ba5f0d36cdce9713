"""What the recorder of calls and the audit line cost: the gateway with both and without either, over the same traffic.

    uv run --no-sync python benchmarks/llmgateway/recorder.py [--rounds 7] [--requests 3200]

As fastpath.py, whose traffic it sends. The lines go to a file.
"""

import argparse
import asyncio

from fastpath import run

WITHOUT = (
    "import sys; from agent_llmgateway.http.account import RequestAccount as A; "
    "from agent_llmgateway.http.callaudit import CallAudit; from agent_kit.calls import CallRing; "
    "A._record = lambda *_: None; CallRing.add = CallAudit.add = lambda *_: None; "
    "sys.argv[0] = 'agent-llmgateway'; from agent_llmgateway.command import main; sys.exit(main())"
)
"""No call is kept or written."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=3200)
    options = parser.parse_args()
    asyncio.run(run(options.rounds, options.requests, WITHOUT))


if __name__ == "__main__":
    main()
