"""The agent's side: REST and MCP on one loopback port."""
