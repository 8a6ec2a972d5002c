"""The one exception that a user is meant to read."""


class ReportError(Exception):
    """One Chinese sentence for the user: the value, the cause and the way out."""
