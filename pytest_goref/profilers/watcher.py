"""Who else watches the program: two that do disturb each other, and both are wrong."""

from __future__ import annotations

import sys


def watcher() -> str:
    """Return what watches the program, such as coverage, a debugger or a profiler, "" when nothing does."""
    if sys.gettrace() is not None:
        return "a tracer (coverage or a debugger)"
    if sys.getprofile() is not None:
        return "a profiler"
    if sys.version_info >= (3, 12):
        names = (sys.monitoring.get_tool(tool) for tool in range(6))
        return next((f"the monitoring tool {name!r}" for name in names if name), "")
    return ""
