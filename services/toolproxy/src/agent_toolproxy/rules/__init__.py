"""What the agent's author says about single calls: rules, rates, and calls that a person approves."""
