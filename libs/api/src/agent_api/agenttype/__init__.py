"""The AgentType API, `agents.example.com/v1`. `docs/spec/agenttype.md` is its page."""

from agent_api.agenttype.agent import Agent, Port
from agent_api.agenttype.conditiontypes import ConditionType
from agent_api.agenttype.environment import Environment, File, Sdk, Setup, Variable
from agent_api.agenttype.kubernetes.autoscaling import Scaling
from agent_api.agenttype.memory import Memory
from agent_api.agenttype.observed.status import Condition, Phase, Status
from agent_api.agenttype.pod import Pod
from agent_api.agenttype.reasons import Reason
from agent_api.agenttype.rule import ApiModel, ListMap, OpenModel, Rule
from agent_api.agenttype.services import Llm, Provider
from agent_api.agenttype.source import Code, Source
from agent_api.agenttype.spec import AgentType, Metadata, Monitoring, Security, Spec
from agent_api.agenttype.tools import CustomTool, Tools
from agent_api.agenttype.volumes import Volume
from agent_api.agenttype.workload import ResourcePlan, Workload
from agent_api.agenttype.workspace import Workspace

__all__ = [
    "Agent",
    "AgentType",
    "ApiModel",
    "Code",
    "Condition",
    "ConditionType",
    "CustomTool",
    "Environment",
    "File",
    "ListMap",
    "Llm",
    "Memory",
    "Metadata",
    "Monitoring",
    "OpenModel",
    "Phase",
    "Pod",
    "Port",
    "Provider",
    "Reason",
    "ResourcePlan",
    "Rule",
    "Scaling",
    "Sdk",
    "Security",
    "Setup",
    "Source",
    "Spec",
    "Status",
    "Tools",
    "Variable",
    "Volume",
    "Workload",
    "Workspace",
]
