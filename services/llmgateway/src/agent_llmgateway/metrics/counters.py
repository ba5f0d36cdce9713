"""Counters and histograms that cost a dictionary look-up, read by Prometheus when it looks.

prometheus_client takes a lock for every number because threads may share it; the gateway has one thread, and
four histograms on the path of every request. These hold plain numbers and are turned into the library's families
on a scrape.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class LabelledCounter:
    """A counter for each tuple of label values."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._family = (name, text, tuple(labels))
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1.0) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def read(self) -> Metric:
        """As Prometheus has it. Without labels it is there from the beginning."""
        name, text, labels = self._family
        family = CounterMetricFamily(name, text, labels=labels)
        for values, amount in (self.values or ({(): 0.0} if not labels else {})).items():
            family.add_metric(values, amount)
        return family


class LabelledHistogram:
    """A histogram for each tuple of label values."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str]) -> None:
        self._family = (name, text, tuple(labels))
        self._bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def read(self) -> Metric:
        """As Prometheus has it: each bucket counts what is in the smaller ones too."""
        name, text, labels = self._family
        family = HistogramMetricFamily(name, text, labels=labels)
        for values, counts in self._counts.items():
            total = 0
            buckets = []
            for bound, count in zip((*map(str, map(float, self._bounds)), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric(values, buckets, sum_value=self._sums[values])
        return family


class CounterCollector(Collector):
    """Shows them to a registry."""

    def __init__(self, members: Sequence[LabelledCounter | LabelledHistogram]) -> None:
        self._members = members

    def collect(self) -> Iterator[Metric]:
        for member in self._members:
            yield member.read()
