"""What the long-running services share. Empty on purpose: a service pays only for the modules it imports."""
