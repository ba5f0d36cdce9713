"""The dialects: what requests, answers and streams look like, and how one becomes another."""
