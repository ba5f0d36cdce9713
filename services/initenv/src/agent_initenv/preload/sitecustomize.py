"""Loads the agent's glue code before its own code; written by agent-initenv, on PYTHONPATH by the Pod.

Python imports one module of this name. Another one further on the path, such as the image's own, is loaded
first, so that nothing is lost. It runs under the agent's version of Python, hence the plain syntax.

A glue error ends the process at once: `site` would print one line, go on, and run an agent without its glue.
"""

# ruff: noqa: INP001, PTH100, PTH118, PTH120, BLE001 - runs in every process of the agent: pathlib stays unloaded
import importlib.machinery
import importlib.util
import os
import sys
import traceback

GLUE = "@GLUE@"  # from this file's folder
HERE = os.path.dirname(os.path.abspath(__file__))


def load_shadowed() -> None:
    """Load the sitecustomize that this one hides."""
    others = [entry for entry in sys.path if os.path.abspath(entry) != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def load_glue() -> None:
    """Run the glue file as the module `agentberth_glue`."""
    path = os.path.normpath(os.path.join(HERE, GLUE))
    loader = importlib.machinery.SourceFileLoader("agentberth_glue", path)
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(loader.name, loader, origin=path))
    module.__file__ = path
    sys.modules["agentberth_glue"] = module
    try:
        loader.exec_module(module)
    except BaseException:
        traceback.print_exc()
        sys.stderr.write("agentberth: the glue code " + path + " failed (above), so the agent is not started\n")
        sys.stderr.flush()
        os._exit(1)


try:
    load_shadowed()
except Exception:
    traceback.print_exc()
    sys.stderr.write("agentberth: another sitecustomize failed (above), as it would without glue code\n")
load_glue()
