from agentberth.entry import script

script()
