"""MCP as a client of upstream servers, both eras, and the vocabulary that client and endpoint share."""
