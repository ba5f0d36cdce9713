"""What the agent may spend, and where the count is kept."""
