"""Which addresses may be reached, and the one HTTP client that keeps to it."""
