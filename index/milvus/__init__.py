"""A library in Milvus, for more reports than one machine holds."""

from index.milvus.reader import MilvusLibrary
from index.milvus.server import Address
from index.milvus.writer import MilvusWriter

__all__ = ["Address", "MilvusLibrary", "MilvusWriter"]
