"""The `agentberth` command: run, validate, render, diagnose, crd."""
