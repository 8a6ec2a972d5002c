"""Where a library in Milvus is, and how it is asked. The one door to pymilvus."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from index.columns import K1, B
from index.contract import MadeBy
from index.errors import ReportError, reason

FORMAT = 1
WAIT = 30.0
"""Seconds for a request."""

NO_VECTOR = [0.0, 0.0]
"""What stands for a vector where a collection needs none: each must have one."""

_AT_ONCE = 500  # rows written or asked for at a time
_FILTERED = ("document", "kind", "passage", "digest")
_COLLECTIONS = ("probes", "meta", "files", "records", "passages", "segments", "documents")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a library in Milvus is: ``uri`` of a server, or the path of a file for milvus-lite."""

    uri: str
    name: str
    token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``milvus://[user:password@]host[:port]/name`` or ``milvus:///folder/file.db``.

        Raises ``ReportError`` if it is neither.
        """
        try:
            parts = urlsplit(text)
            path, host = unquote(parts.path), parts.hostname
            if parts.scheme == "milvus" and host and path[1:].isidentifier() and path.isascii():
                token = unquote(":".join(filter(None, (parts.username, parts.password))))
                shown = f"[{host}]" if ":" in host else host
                return cls(f"http://{shown}:{parts.port or 19530}", path[1:], token)
            if parts.scheme == "milvus" and not parts.netloc and path.endswith(".db"):
                return cls(str(Path(path).absolute()), "yiju")
        except ValueError:
            pass
        shown = re.sub("//.*@", "//…@", text)  # without the password
        raise ReportError(
            f"“{shown}”不是 Milvus 资料库的地址，请写成 milvus://主机:19530/名称（字母、数字和下划线），"
            "或 milvus:///文件夹/文件.db。"
        )

    def __str__(self) -> str:
        place = self.uri if self.is_file else f"{self.uri.partition('://')[2]}/{self.name}"
        return f"milvus://{place}"

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine."""
        return "://" not in self.uri


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Turn what pymilvus raises into a sentence for the user."""
    try:
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException
    except ImportError as exc:
        raise ReportError("没有安装 pymilvus，请运行 pip install pymilvus 后重试。") from exc
    try:
        yield
    except (MilvusException, RpcError) as exc:
        raise ReportError(
            f"不能读写 Milvus 资料库“{address}”：连不上、没有权限或请求被拒绝，"
            "请检查地址、密码和 Milvus 是否在运行；本机的文件同时只能由一个程序打开。"
        ) from exc
    except OSError as exc:
        raise ReportError(
            f"不能读写 Milvus 资料库“{address}”：{reason(exc)}，请检查路径、磁盘空间和权限。"
        ) from exc
    except (LookupError, ValueError, TypeError) as exc:
        raise ReportError(
            f"Milvus 资料库“{address}”里的内容不完整，可能正在变动：请再问一次；"
            "如果总是这样，请移除后重新添加报告。"
        ) from exc


@cache
def connect(address: Address) -> Any:
    """Return the client of an address, one for the process."""
    from pymilvus import MilvusClient

    for name in ("pymilvus", "milvus_lite"):  # they print what they raise as well
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if address.is_file:
        Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
    return MilvusClient(address.uri, token=address.token, timeout=WAIT)


@cache
def _load(address: Address) -> None:
    """Have Milvus hold the collections ready; what was made by another process is not by itself."""
    for collection in _COLLECTIONS:
        connect(address).load_collection(full_name(address, collection))


def full_name(address: Address, collection: str) -> str:
    """Return the name of a collection of a library among those of others."""
    return f"{address.name}_{collection}"


def make_collections(address: Address, dim: int) -> None:
    """Make the empty collections of a library for vectors of this length."""
    from pymilvus import DataType, Function, FunctionType

    def text(length: int) -> dict[str, Any]:
        return {"datatype": DataType.VARCHAR, "max_length": length}

    number = {"datatype": DataType.INT64}
    none = {"datatype": DataType.FLOAT_VECTOR, "dim": 2}
    shape: dict[str, dict[str, dict[str, Any]]] = {
        "probes": {"id": number, "vector": {"datatype": DataType.FLOAT_VECTOR, "dim": dim}},
        "meta": {"key": text(64), "value": text(65_535), "none": none},
        "files": {"key": text(64), "path": text(8192), "document": text(64), "none": none},
        "records": {"id": number, "document": number, "text": text(65_535), "none": none},
        "passages": {
            "id": number, "document": number, "kind": text(16), "digest": text(32),
            "terms": text(65_535) | {"enable_analyzer": True, "enable_match": True,
                                     "analyzer_params": {"tokenizer": "standard"}},
            "bm25": {"datatype": DataType.SPARSE_FLOAT_VECTOR},
        },
        "segments": {
            "id": number, "document": number, "kind": text(16), "passage": number,
            "vector": {"datatype": DataType.FLOAT_VECTOR, "dim": dim},
        },
        "documents": {
            "key": text(64), "id": number, "known": text(65_535), "headings": text(65_535),
            "passages": number, "pages": number, "none": none,
        },
    }  # fmt: skip
    indexes: dict[str, dict[str, Any]] = {
        "none": {"index_type": "FLAT", "metric_type": "IP"},
        "vector": {"index_type": "FLAT" if address.is_file else "AUTOINDEX", "metric_type": "IP"},
        "bm25": {
            "index_type": "SPARSE_INVERTED_INDEX",
            "metric_type": "BM25",
            "params": {"bm25_k1": K1, "bm25_b": B},
        },
    }
    client = connect(address)
    for collection, columns in shape.items():
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        keys = client.prepare_index_params()
        for place, (column, told) in enumerate(columns.items()):
            schema.add_field(column, is_primary=place == 0, **told)
            if column in indexes:
                keys.add_index(column, **indexes[column])
            elif column in _FILTERED and place:
                keys.add_index(column, index_type="INVERTED")
        if collection == "passages":
            bm25 = Function(
                name="bm25",
                function_type=FunctionType.BM25,
                input_field_names=["terms"],
                output_field_names=["bm25"],
            )
            schema.add_function(bm25)
        name = full_name(address, collection)
        if client.has_collection(name):  # of a library that was cut off while it was made
            client.drop_collection(name)
        client.create_collection(name, schema=schema, index_params=keys, consistency_level="Strong")


def load_facts(address: Address) -> dict[str, Any]:
    """Return what the library says of itself; nothing if there is none, or one half made."""
    if address.is_file and not Path(address.uri).exists():
        return {}
    if not connect(address).has_collection(full_name(address, "documents")):
        return {}
    _load(address)
    rows = fetch(address, "meta", "", "key", "value")
    return {row["key"]: json.loads(row["value"]) for row in rows}


def version_of(known: dict[str, Any]) -> str:
    """Return what tells one state of one library from every other."""
    return f"{known.get('library')}:{known.get('generation', '')}"


def set_facts(address: Address, **values: Any) -> None:
    """Record what the library says of itself."""
    rows = [{"key": k, "value": json.dumps(v), "none": NO_VECTOR} for k, v in values.items()]
    connect(address).upsert(full_name(address, "meta"), rows)


def made_by(address: Address, known: dict[str, Any]) -> MadeBy:
    """Return the model that the library was made by.

    Raises ``ReportError`` if it is of another format.
    """
    if known.get("format") != FORMAT:
        raise ReportError(
            f"Milvus 资料库“{address}”是格式 {known.get('format')}，本程序需要格式 {FORMAT}，"
            "请换一个名称，再重新添加报告。"
        )
    return MadeBy(known["encoder"], known["fingerprint"], int(known["dim"]))


def fetch(
    address: Address, collection: str, wanted: str, *columns: str, limit: int | None = 0
) -> list[dict[str, Any]]:
    """Return all rows that are wanted, or so many; None where the answer is one number."""
    client, name = connect(address), full_name(address, collection)
    if limit != 0 or address.is_file:  # milvus-lite has no iterator, and no limit of 16,384
        most = {"limit": limit} if limit else {}
        return list(
            client.query(name, filter=wanted, output_fields=list(columns), timeout=WAIT, **most)
        )
    found: list[dict[str, Any]] = []
    pages = client.query_iterator(
        name, filter=wanted, output_fields=list(columns), batch_size=_AT_ONCE
    )
    while page := pages.next():
        found += page
    pages.close()
    return found


def erase(address: Address, collection: str, wanted: str) -> None:
    """Delete the rows that are wanted."""
    connect(address).delete(full_name(address, collection), filter=wanted, timeout=WAIT)


def quoted(value: str) -> str:
    """Return a string as the filters of Milvus have it."""
    return json.dumps(value, ensure_ascii=False)


def in_batches(values: list[Any]) -> Iterator[list[Any]]:
    """Yield values a few at a time."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
