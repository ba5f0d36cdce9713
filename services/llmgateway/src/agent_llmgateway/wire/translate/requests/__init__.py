"""A request of one dialect as another's: the schemas that are read, the turns, the tools, the limits."""
