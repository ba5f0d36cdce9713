"""What is rendered for an agent, and which of it is applied."""
