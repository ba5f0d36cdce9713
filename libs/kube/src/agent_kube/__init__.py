"""A small operator runtime: caches, queue, controller, server-side apply, election, events. See README.md."""

from msgspec import Raw

from agent_kube.apply.applier import Applied, Applier, Contested, Refusal
from agent_kube.cache.store import Change, Store, Stores
from agent_kube.cache.watchstate import WatchSettings
from agent_kube.client.access import Access, Credentials, FixedCredentials, TokenFile, in_cluster, open_access
from agent_kube.client.client import Client, Manifest
from agent_kube.client.transport import Limits
from agent_kube.control.controller import Controller, HotLoopError, Settings
from agent_kube.control.guard import Budget
from agent_kube.control.request import Done, Outcome, Request, RequeueAfter, current_request
from agent_kube.errors import (
    AlreadyExists,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    LeadershipLost,
    NotFound,
    Occupied,
    Retryable,
    ServerFault,
    Terminal,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    Waiting,
)
from agent_kube.events import EventRecorder
from agent_kube.metrics import Metrics
from agent_kube.objects import ObjectKey, ObjectMeta, ObjectModel, OwnerReference, PartialObject
from agent_kube.resources import Resource
from agent_kube.runtime.elector import Elector, LeaseTimes
from agent_kube.runtime.health import Health
from agent_kube.runtime.runtime import Runtime
from agent_kube.source import Source

__all__ = [
    "Access",
    "AlreadyExists",
    "Applied",
    "Applier",
    "Budget",
    "Change",
    "Client",
    "ConfigurationError",
    "Conflict",
    "Contested",
    "Controller",
    "Credentials",
    "DeadlineExceeded",
    "Done",
    "Elector",
    "EventRecorder",
    "Expired",
    "FixedCredentials",
    "Forbidden",
    "Health",
    "HotLoopError",
    "Invalid",
    "KubeError",
    "LeadershipLost",
    "LeaseTimes",
    "Limits",
    "Manifest",
    "Metrics",
    "NotFound",
    "ObjectKey",
    "ObjectMeta",
    "ObjectModel",
    "Occupied",
    "Outcome",
    "OwnerReference",
    "PartialObject",
    "Raw",
    "Refusal",
    "Request",
    "RequeueAfter",
    "Resource",
    "Retryable",
    "Runtime",
    "ServerFault",
    "Settings",
    "Source",
    "Store",
    "Stores",
    "Terminal",
    "TokenFile",
    "TooManyRequests",
    "Unauthorized",
    "Unreachable",
    "Waiting",
    "WatchSettings",
    "current_request",
    "in_cluster",
    "open_access",
]
