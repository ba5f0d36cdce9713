"""Tests of agents: a run from a cassette, held to what is expected of it. For `agentberth test` and for pytest."""
