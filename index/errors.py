"""The one exception that a user is meant to read."""

import errno
import re

_REASONS = {
    errno.ENOSPC: "磁盘已满",
    errno.EDQUOT: "磁盘配额已满",
    errno.EACCES: "没有权限",
    errno.EPERM: "没有权限",
    errno.EROFS: "磁盘是只读的",
    errno.EEXIST: "路径上有同名的文件",
    errno.ENOTDIR: "路径上有一个文件不是文件夹",
    errno.EISDIR: "这是一个文件夹",
    errno.ENOENT: "路径不存在",
    errno.ENAMETOOLONG: "名字太长",
    errno.EIO: "磁盘读写出错",
    errno.EADDRINUSE: "端口已被占用",
}


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ReportError(Exception):
    """One Chinese sentence for the user: the value, the cause and the way out.

    It is one line, whatever is in the name of a file that it tells of.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


def printable(text: str) -> str:
    """Return text without what would break its line, drive a terminal or cannot be encoded."""
    return _UNPRINTABLE.sub("\ufffd", text)


def reason(exc: Exception) -> str:
    """Return why the system refused, in Chinese."""
    number = getattr(exc, "errno", None)
    return _REASONS.get(number or 0, f"系统错误 {number}" if number else "路径无效")
