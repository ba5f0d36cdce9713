"""Which route is tried next, for how long, and when a provider is left alone."""
