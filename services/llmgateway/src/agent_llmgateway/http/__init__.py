"""The agent's side: requests in, answers out, and every refusal in the dialect of its client."""
