"""What is counted: by provider, by outcome, for Prometheus and for the report."""
