"""What the command reads of a cluster, through kubectl: the user's own contexts, plugins and rights."""
