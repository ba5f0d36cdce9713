"""`agentberth check`: what a cluster lacks for agents to run in it, each with its cure.

A check is a function in the module of its subject: it reads through the user's kubectl and yields findings. It makes
nothing in the cluster except reviews of rights, which no server keeps.
"""
