"""Test cases of agents as tests of pytest."""
