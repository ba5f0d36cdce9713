"""The `agentberth` command: run, render, validate, crd."""
