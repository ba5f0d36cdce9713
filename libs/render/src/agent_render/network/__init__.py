"""NetworkPolicies: who may reach an agent, and where it may connect to."""
