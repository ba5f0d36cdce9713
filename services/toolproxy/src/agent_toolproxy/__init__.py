"""The tool proxy: installs the agent's tools, runs them, and serves them over REST and MCP."""

__version__ = "0.1.0"
