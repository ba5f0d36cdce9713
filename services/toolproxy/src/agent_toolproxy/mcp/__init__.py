"""MCP, both eras: 2026-07-28 (stateless) and the handshake revisions before it, as a server and as a client."""
