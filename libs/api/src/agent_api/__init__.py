"""What crosses a boundary of Agentberth, as data: nothing here reads, writes or connects.

Import the module of what you need (`agent_api.initplan`, `agent_api.agenttype`, ...): each loads only
itself, because the init container is measured in milliseconds.
"""
