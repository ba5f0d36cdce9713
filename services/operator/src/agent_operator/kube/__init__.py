"""A small operator runtime: caches, queue, controller, server-side apply, election, events. See README.md."""

from msgspec import Raw

from .access import Access, Credentials, FixedCredentials, TokenFile, in_cluster, open_access
from .apply import Applied, Applier, Refusal
from .client import Client, Manifest
from .controller import Controller, HotLoopError, Settings
from .elector import Elector, LeaseTimes
from .errors import (
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
from .events import EventRecorder
from .guard import Budget
from .health import Health
from .metrics import Metrics
from .objects import ObjectKey, ObjectMeta, ObjectModel, OwnerReference, PartialObject
from .request import Done, Outcome, Request, RequeueAfter, current_request
from .resources import Resource
from .runtime import Runtime
from .source import Source
from .store import Change, Store, Stores
from .transport import Limits
from .watcher import WatchSettings

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
