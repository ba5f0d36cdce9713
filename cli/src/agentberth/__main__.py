from agentberth.app import script

script()
