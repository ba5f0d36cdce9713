"""MCP servers behind the proxy: requests to them, what they say unasked, and what of it goes to which client."""
