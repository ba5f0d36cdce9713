"""What the errors of providers mean: status, code and words become a cause."""
