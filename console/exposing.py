"""A worker's own counts for Prometheus: an address beside the work, off unless it is configured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from core.settings import WorkerSettings
    from pipelines.metrics import Metrics


@contextmanager
def exposed(settings: WorkerSettings, metrics: Metrics) -> Iterator[str]:
    """Tell `metrics`, and the process's own figures, at `[worker] metrics` while this lasts. Gives the address, "" where none is
    configured. Raises ConfigurationProblem where it cannot be had.
    """
    where = settings.metrics_at
    if where is None:
        yield ""
        return
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_Both(metrics))
    host, port = where
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationProblem(
            f"{settings.metrics} cannot be opened for metrics ({error.strerror}). What to do: end what uses it, or choose "
            "another address in [worker] metrics; each worker of a machine needs its own."
        ) from None
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _Both:
    """What this process counted, and what it uses (memory, files, threads)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Each family once."""
        from prometheus_client import REGISTRY

        yield from self._metrics.registry.collect()
        if self._metrics.registry is not REGISTRY:
            yield from REGISTRY.collect()
