"""The agent: what the platform gives it is in its environment."""

import os

greeting = os.environ.get("GREETING", "Hello")
print(f"{greeting} from {os.environ['AGENT_NAME']}; my files go to {os.environ['AGENT_WORKSPACE']}")
for name in ("MCP_SERVER_URL", "OPENAI_BASE_URL", "AGENT_MEMORY_URL"):
    print(f"{name}: {os.environ.get(name, 'not asked for')}")
