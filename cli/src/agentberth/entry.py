"""The console script. It imports nothing of ours before it has said what Ctrl-C means.

The imports take a third of a second. Whoever changes their mind meanwhile is owed no traceback: there is nothing to
clean up yet, so the signal ends the process. `run` takes signals over before it starts anything.
"""

import signal
import sys


def script() -> None:
    """Runs the command line and exits with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agentberth.app import main  # noqa: PLC0415 - see above

    sys.exit(main())
