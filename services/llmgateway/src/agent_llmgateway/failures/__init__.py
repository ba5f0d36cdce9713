"""Classifies failed tries: status, code and words of a provider become a cause."""
