"""Read what stands on stdin, within limits; write what is in it to stdout. For ``apart`` alone."""

import json
import sys
from dataclasses import asdict

from index.errors import ReportError
from index.readers import read_source
from index.readers.apart import OUT_OF_MEMORY


def _limit(memory: int, seconds: int) -> None:
    """Bound this process, where the system can: Windows has the clock of ``apart`` alone."""
    try:
        import resource
    except ImportError:
        return
    for name, most in (("RLIMIT_AS", memory), ("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0)):
        resource.setrlimit(getattr(resource, name), (most, most))


def _read() -> dict[str, object]:
    """Return what is in a file: its name as JSON on the first line, then its bytes."""
    name = json.loads(sys.stdin.buffer.readline())
    try:
        return asdict(read_source(sys.stdin.buffer.read(), name))
    except ReportError as exc:
        if _starved(exc):
            raise MemoryError from exc
        return {"refused": str(exc)}


def _starved(exc: BaseException | None) -> bool:
    """Whether a want of memory is behind it: a reader calls whatever goes wrong damage."""
    return exc is not None and (
        any(isinstance(each, MemoryError) for each in (exc, *exc.args))
        or _starved(exc.__cause__ or exc.__context__)
    )


def main() -> int:
    """Return the exit code."""
    _limit(int(sys.argv[1]), int(sys.argv[2]))
    try:
        print(json.dumps(_read()))
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
