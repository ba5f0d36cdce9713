"""The MCP endpoint, both eras: 2026-07-28 (stateless) and the handshake revisions before it."""
