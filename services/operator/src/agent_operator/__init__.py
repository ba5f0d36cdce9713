"""The operator: AgentType objects become running workloads, with status that can be trusted.

`kube` is the runtime and knows nothing of agents; the modules beside it are what an AgentType means.
"""
