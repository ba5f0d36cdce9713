"""The agent's memory: a small Redis client, and the tools over it."""
