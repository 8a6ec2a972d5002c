"""The one exception that a user is meant to read."""

import errno

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


class ReportError(Exception):
    """One Chinese sentence for the user: the value, the cause and the way out."""


def reason(exc: Exception) -> str:
    """Return why the system refused, in Chinese."""
    number = getattr(exc, "errno", None)
    return _REASONS.get(number or 0, f"系统错误 {number}" if number else "路径无效")
