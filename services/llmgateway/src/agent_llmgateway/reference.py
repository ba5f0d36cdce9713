"""What the reference in docs/ is made of: the OpenAPI document and the table of settings."""

import json
import sys

from agent_kit.settings import describe
from agent_llmgateway.http.openapi import make_openapi
from agent_llmgateway.settings import GatewaySettings


def print_openapi(_: list[str]) -> int:
    """The published document, on stdout."""
    sys.stdout.write(json.dumps(make_openapi(), indent=2) + "\n")
    return 0


def print_settings(_: list[str]) -> int:
    """The settings, as a table."""
    sys.stdout.write(describe(GatewaySettings))
    return 0
