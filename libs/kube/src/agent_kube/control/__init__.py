"""Keys on their way through queue and workers."""
