"""The tools of the configuration: found, installed, pinned, listed and called."""
