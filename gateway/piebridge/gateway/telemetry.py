"""Structured logs, counters, and the status page on loopback.

Nothing that a person or a test needs to know about packets is only here: chain state says it. This is for operators.
"""

import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from aiohttp import web

_RESERVED = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in record.__dict__.items() if name not in _RESERVED}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Have all logs of the process written as JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class Counters:
    """Numbers that only grow, by name and labels, and gauges that are asked for when somebody looks."""

    def __init__(self) -> None:
        """Start at zero."""
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def add(self, name: str, amount: float = 1, **labels: object) -> None:
        """Let a counter grow."""
        self._values[name, _labels(labels)] += amount

    def set(self, name: str, value: float, **labels: object) -> None:
        """Set a gauge."""
        self._values[name, _labels(labels)] = value

    def value(self, name: str, **labels: object) -> float:
        """Return a value; 0 if it was never touched."""
        return self._values.get((name, _labels(labels)), 0)

    def total(self, name: str) -> float:
        """Return the sum over all labels."""
        return sum(value for (key, _), value in self._values.items() if key == name)

    def exposition(self) -> str:
        """Return all values in the Prometheus text format."""
        lines = []
        for (name, labels), value in sorted(self._values.items()):
            shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"piebridge_{name}{{{shown}}} {value:g}" if shown else f"piebridge_{name} {value:g}")
        return "\n".join(lines) + "\n"


async def serve_status(
    host: str, port: int, counters: Counters, health: Callable[[], dict[str, Any]], refresh: Callable[[], None]
) -> web.AppRunner:
    """Serve ``/health`` (JSON) and ``/metrics`` (Prometheus text); return the runner, to be cleaned up.

    Args:
        host: loopback address; the page tells about the inside of the gateway and has no access control.
        port: TCP port.
        counters: what ``/metrics`` shows.
        health: called for ``/health``; its ``"healthy"`` decides between 200 and 503.
        refresh: called before ``/metrics`` is answered, to set gauges.
    """

    async def show_health(request: web.Request) -> web.Response:
        report = health()
        return web.json_response(report, status=200 if report.get("healthy") else 503)

    async def show_metrics(request: web.Request) -> web.Response:
        refresh()
        return web.Response(text=counters.exposition(), content_type="text/plain")

    application = web.Application()
    application.router.add_get("/health", show_health)
    application.router.add_get("/metrics", show_metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _labels(labels: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in labels.items()))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
