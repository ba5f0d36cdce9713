"""Where a tool comes from."""
