"""Run a measure in a process of its own, so that memory and imports do not mix.

The child's first lines take the time before anything else is imported: a cold start begins when the
parent starts the process.
"""

import sys
import time

_AWAKE = time.monotonic()  # the same clock in every process of a machine

import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).parents[2]
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class Clock:
    """When the parent started the process and when its first line ran: seconds, monotonic."""

    started: float
    awake: float

    def since_start(self) -> float:
        """Return the seconds since the parent started the process."""
        return time.monotonic() - self.started


def apart(measure: str, *, environment: Mapping[str, str] = {}, **given: Any) -> Any:
    """Return what ``module:function`` of this folder returns for a ``Clock`` and ``given``.

    All of it passes as JSON. Raises ``RuntimeError`` with the end of what the process wrote if it
    fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        words = [sys.executable, "-m", "tests.benchmarks.process", measure, str(told)]
        own = {**os.environ, **OFFLINE, **environment}
        request = json.dumps(given, default=str)
        run = subprocess.run(
            [*words, request, repr(time.monotonic())],
            cwd=ROOT,
            env=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if run.returncode:
            raise RuntimeError(f"{measure} {request}:\n{run.stdout[-3000:]}")
        return json.loads(told.read_text("utf-8"))


def peak_memory() -> float:
    """Return the most memory that this process has held, MB, files mapped into it included.

    Not ``ru_maxrss``: a process inherits that from the one that started it.
    """
    return _status("VmHWM")


def own_memory() -> float:
    """Return the memory that this process holds now, MB, without files mapped into it."""
    return _status("RssAnon")


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _main(measure: str, told: str, request: str, started: str) -> None:
    module, function = measure.split(":")
    found = getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)
    result = found(Clock(float(started), _AWAKE), **json.loads(request))
    Path(told).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
