"""Hands the budget of an agent out to the gateways of its Pods, and keeps account of it in the AgentType's status."""
