"""Access tokens for MCP servers that want OAuth: found out from the server, held by the proxy alone."""
