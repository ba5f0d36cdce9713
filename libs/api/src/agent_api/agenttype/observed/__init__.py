"""`status` of an AgentType: what is, as the operator has seen it."""
