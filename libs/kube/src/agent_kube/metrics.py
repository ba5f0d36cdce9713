"""Metrics under controller-runtime's names and labels, so that existing dashboards and alerts work."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RECONCILE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
QUEUE_BUCKETS_S = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1000)


class QueueFamilies:
    """What all queues tell, by controller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_name = ["name", "controller"]
        self.depth = Gauge("workqueue_depth", "Keys in the queue", by_name, registry=registry)
        self.adds = Counter("workqueue_adds_total", "Keys added to the queue", by_name, registry=registry)
        self.queued = Histogram(
            "workqueue_queue_duration_seconds",
            "Time in the queue",
            by_name,
            buckets=QUEUE_BUCKETS_S,
            registry=registry,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "Processing time",
            by_name,
            buckets=QUEUE_BUCKETS_S,
            registry=registry,
        )
        self.retries = Counter("workqueue_retries_total", "Keys queued again", by_name, registry=registry)
        self.unfinished = Gauge(
            "workqueue_unfinished_work_seconds", "Sum of the ages of keys in progress", by_name, registry=registry
        )
        self.longest = Gauge(
            "workqueue_longest_running_processor_seconds",
            "Age of the oldest key in progress",
            by_name,
            registry=registry,
        )


class WatchFamilies:
    """What the caches and their watchers tell, by resource."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.steps = Counter(
            "kube_watch_steps_total", "Lists and watches by outcome", ["resource", "outcome"], registry=registry
        )
        self.cached = Gauge("kube_cached_objects", "Objects in the cache", ["resource"], registry=registry)
        self.silence = Gauge(
            "kube_watch_silence_seconds",
            "Time since a watcher last received data from the API server",
            ["resource"],
            registry=registry,
        )

    def step(self, resource: str, outcome: str) -> None:
        """A watcher has finished a list, or a watch for the reason `outcome`."""
        self.steps.labels(resource, outcome).inc()


class Metrics:
    """All metrics of one process, on an injected registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_controller = ["controller"]
        self.queue = QueueFamilies(registry)
        self.watch = WatchFamilies(registry)
        self.reconciles = Counter(
            "controller_runtime_reconcile_total", "Reconciles by result", ["controller", "result"], registry=registry
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors_total", "Failed reconciles", by_controller, registry=registry
        )
        self.terminal_errors = Counter(
            "controller_runtime_terminal_reconcile_errors_total",
            "Failed reconciles that are not retried",
            by_controller,
            registry=registry,
        )
        self.panics = Counter(
            "controller_runtime_reconcile_panics_total",
            "Reconciles that ended in an unexpected exception",
            by_controller,
            registry=registry,
        )
        self.times = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile",
            by_controller,
            buckets=RECONCILE_BUCKETS_S,
            registry=registry,
        )
        self.active = Gauge("controller_runtime_active_workers", "Busy workers", by_controller, registry=registry)
        self.workers = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers", by_controller, registry=registry
        )
        self.hot_loops = Counter(
            "kube_hot_loops_total", "Objects that used up their write budget", by_controller, registry=registry
        )
        self.leading = Gauge(
            "leader_election_master_status", "1 while this replica holds the lease", ["name"], registry=registry
        )


class QueueMetrics:
    """The queue's observer: metrics of one controller's queue. Ages are read when somebody scrapes."""

    def __init__(self, families: QueueFamilies, controller: str) -> None:
        labels = (controller, controller)
        self._adds = families.adds.labels(*labels)
        self._queued = families.queued.labels(*labels)
        self._worked = families.worked.labels(*labels)
        self._retries = families.retries.labels(*labels)
        self._depth = families.depth.labels(*labels)
        self._unfinished = families.unfinished.labels(*labels)
        self._longest = families.longest.labels(*labels)

    def observe(self, depth: Callable[[], int], ages_s: Callable[[], list[float]]) -> None:
        """Where the depth and the ages of work in progress are read from."""
        self._depth.set_function(depth)
        self._unfinished.set_function(lambda: sum(ages_s()))
        self._longest.set_function(lambda: max(ages_s(), default=0.0))

    def added(self) -> None:
        """A key was put in line."""
        self._adds.inc()

    def started(self, queued_s: float) -> None:
        """A key was taken after so long in line."""
        self._queued.observe(queued_s)

    def finished(self, worked_s: float) -> None:
        """Work on a key is over."""
        self._worked.observe(worked_s)

    def retried(self) -> None:
        """A key failed and will be tried again."""
        self._retries.inc()
