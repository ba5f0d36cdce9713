"""What is installed below /tools, and what was seen of it first."""
