"""Record and replay: what an agent asks of models and tools, kept in a cassette and answered from it.

It happens in front of the sidecars, on loopback addresses that only `agentberth run` gives to the agent. So a cassette
holds what the agent itself saw, in any dialect, and the sidecars know nothing of it: docs/adr/0022.
"""
