"""The composition root of `agent-initenv`.

A short program measured in milliseconds: cyclic garbage is never worth collecting in it, and no plugin of
pydantic is looked for. Both must be settled before the rest is imported, which is why that happens in `main`.
"""

import gc
import os
import sys


def main() -> int:
    """Run the command line of this process; its exit code."""
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from agent_base.redaction import Redactor  # noqa: PLC0415
    from agent_initenv.command import read_options  # noqa: PLC0415 - see the module's docstring
    from agent_initenv.errors import SettingsError  # noqa: PLC0415
    from agent_initenv.progress import Progress  # noqa: PLC0415
    from agent_initenv.retry import SystemClock  # noqa: PLC0415
    from agent_initenv.session import UNUSABLE, Session, listen_to_signals, write_report  # noqa: PLC0415

    redactor = Redactor()
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    progress = Progress(sys.stderr, redactor, colour=colour)
    try:
        options = read_options(sys.argv[1:])
    except SettingsError as error:
        progress.note("usage", str(error), "failed")
        return UNUSABLE
    listen_to_signals()
    report, code = Session(options, os.environ, progress, redactor, SystemClock()).prepare()
    write_report(report, options.report, sys.stdout, lambda text: progress.note("report", text))
    return code
