"""Prometheus' figures of an exchange, in its text formats. The only file that knows ``prometheus_client``.

::

    scrape -> registry -> collect: what the exchange counted, and how it stands -> encoder that the Accept header asks for
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from sinchphone.exchange.metrics.readings import Readings
from sinchphone.histogram import Histogram

_SECONDS = "seconds"


class Exposition:
    """The figures of one exchange, and of its process."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ExchangeCollector(read))
        ProcessCollector(registry=self._registry)

    def write(self, accept: str) -> tuple[bytes, str]:
        """All of them, and their content type. ``accept``: of the request, which says which format is read."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _ExchangeCollector(Collector):  # type: ignore[misc,unused-ignore]  # without the library it's Any
    def __init__(self, read: Callable[[], Readings]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every figure, as it is now."""
        now = self._read()
        yield InfoMetricFamily("sinchphone", "The program.", value={"version": version("sinchphone")})
        yield from _calls(now)
        yield GaugeMetricFamily("sinchphone_long_polls", "Long polls that wait.", value=now.polls)
        yield GaugeMetricFamily(
            "sinchphone_waiting_message_frames", "Frames of instant messages that wait for a device.", value=now.waiting_frames
        )
        yield GaugeMetricFamily("sinchphone_devices", "Devices that are registered.", value=now.devices)
        yield GaugeMetricFamily("sinchphone_connections", "Connections that are open.", value=now.connections)
        yield GaugeMetricFamily("sinchphone_rooms", "Conference rooms that somebody is in.", value=now.rooms)
        yield GaugeMetricFamily("sinchphone_room_participants", "Who is in them.", value=now.participants)
        callbacks = HistogramMetricFamily(
            "sinchphone_callback_seconds", "Time that requests to backends took.", labels=["outcome"], unit=_SECONDS
        )
        _add(callbacks, ["answered"], now.callbacks.taken_seconds)
        _add(callbacks, ["failed"], now.callbacks.failed_seconds)
        yield callbacks
        late = HistogramMetricFamily(
            "sinchphone_media_late_seconds", "How late ticks of 20 ms of the exchange's own sound came.", labels=[], unit=_SECONDS
        )
        _add(late, [], now.lateness.seconds)
        yield late
        yield CounterMetricFamily(
            "sinchphone_media_dropped_ticks", "Ticks of the exchange's own sound that were left out.", value=now.lateness.dropped
        )


def _calls(now: Readings) -> Iterator[Metric]:
    going_on = GaugeMetricFamily("sinchphone_calls", "Calls that go on, by what was called and state.", labels=["domain", "state"])
    for (domain, state), count in now.calls.going_on().items():
        going_on.add_metric([domain, state.value], count)
    yield going_on
    ended = CounterMetricFamily("sinchphone_calls_ended", "Calls that are over, by what was called and cause.", labels=["domain", "cause"])
    for (domain, cause), count in now.calls.ended.items():
        ended.add_metric([domain, cause.value], count)
    yield ended
    for name, words, found in (
        ("sinchphone_call_setup_seconds", "From a call's placement until somebody rings.", now.calls.ringing_seconds),
        ("sinchphone_call_answer_seconds", "From a call's placement until somebody answers.", now.calls.answer_seconds),
    ):
        family = HistogramMetricFamily(name, words, labels=[], unit=_SECONDS)
        _add(family, [], found)
        yield family


def _add(family: HistogramMetricFamily, labels: list[str], found: Histogram) -> None:
    bounds = [*(str(bound) for bound in found.bounds), "+Inf"]
    buckets = [(bound, float(count)) for bound, count in zip(bounds, found.cumulative(), strict=True)]
    family.add_metric(labels, buckets=buckets, sum_value=found.sum)
