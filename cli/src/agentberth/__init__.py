"""The `agentberth` command: run, validate, render, diagnose, tools, crd."""
