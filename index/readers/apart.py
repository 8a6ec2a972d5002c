"""Read a file from a stranger in a process of its own, which can take no more than it is given.

A file of a few kilobytes can cost gigabytes or hours, or end the process that reads it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from index.errors import ReportError
from index.readers import is_text, read_source
from index.types import Source

MEMORY = 2 * 2**30
"""Bytes of address space. The largest real PDF here, 30 pages, keeps 65 MB in memory."""

SECONDS = 300
"""Of the clock and of the processor. pdfplumber reads about seven pages a second."""

OUT_OF_MEMORY = 3
"""Exit code of the other process."""

_STOPPED = {getattr(signal, name, None) for name in ("SIGXCPU", "SIGKILL")}  # by the limit of time
_ROOT = Path(__file__).parents[2]


def read_apart(data: bytes, name: str) -> Source:
    """Return the text of a file as ``read_source`` does; plain text is read right here.

    Raises ``ReportError`` as that does, and if reading takes too much memory or time or dies.
    """
    if is_text(data, name):
        return read_source(data, name)
    command = [sys.executable, "-P", "-m", "index.readers", str(MEMORY), str(SECONDS)]
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    given = json.dumps(name).encode() + b"\n" + data
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise _too_long(name) from exc
    except OSError as exc:
        raise ReportError(f"不能读取“{name}”：系统不能再开一个进程，请稍后再试。") from exc
    if done.returncode == OUT_OF_MEMORY:
        raise ReportError(
            f"不能读取“{name}”：读它要用的内存超过 {MEMORY >> 20} MB，请拆分或另存后再添加。"
        )
    if -done.returncode in _STOPPED and time.monotonic() - started >= SECONDS / 2:
        raise _too_long(name)
    if done.returncode:
        raise ReportError(
            f"不能读取“{name}”：读到一半意外中断，文件可能已损坏，或者内存不够，请另存或拆分后再添加。"
        )
    told = json.loads(done.stdout)
    if "refused" in told:
        raise ReportError(told["refused"])
    return Source(told["text"], tuple(told["pages"]))


def _too_long(name: str) -> ReportError:
    return ReportError(
        f"不能读取“{name}”：{SECONDS} 秒还没有读完，文件太复杂或已损坏，请拆分或另存后再添加。"
    )
