"""What a test may change in the process, aspect by aspect: how to read it and how to give it back.

An aspect that only a loaded module knows is left out until something has loaded that module: nothing is
imported here that a session does not need anyway.
"""

from __future__ import annotations

import contextlib
import contextvars
import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

Values = dict[Any, Any]
"""What an aspect consists of, by names or by other keys that are the same in every reading."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One kind of state.

    Attributes:
        read: returns all values that there are now.
        write: sets one value, which is not the present one.
        remove: takes away a value that was not there; None where that must stay.
        by_identity: whether two values are the same only if they are one object.

    """

    read: Callable[[], Values]
    write: Callable[[Any, Any], object]
    remove: Callable[[Any], object] | None = None
    by_identity: bool = False

    def same(self, one: object, other: object) -> bool:
        """Return whether two values need no change from one to the other."""
        if self.by_identity or one is other:
            return one is other
        try:
            return bool(one == other)
        except Exception:  # noqa: BLE001 - what a test leaves behind may object to being compared
            return False

    def give_back(self, wanted: Values) -> None:
        """Change what is not as wanted; what cannot be changed stays, as it would have without measuring."""
        present = self.read()
        if self.same(present, wanted):
            return
        if self.remove is not None:
            for key in present.keys() - wanted.keys():
                with contextlib.suppress(Exception):
                    self.remove(key)
        for key, value in wanted.items():
            if key not in present or not self.same(present[key], value):
                with contextlib.suppress(Exception):
                    self.write(key, value)


def _replace(items: MutableSequence[Any], wanted: tuple[Any, ...]) -> None:
    items[:] = wanted


def _set_filters(wanted: tuple[Any, ...]) -> None:
    warnings.resetwarnings()  # which also forgets what was shown under the filters so far
    _replace(warnings.filters, wanted)  # type: ignore[arg-type] # typeshed promises less than a list


def _set_collecting(enabled: bool) -> None:  # noqa: FBT001 - the value as gc.isenabled returns it
    (gc.enable if enabled else gc.disable)()


_SETTINGS: Final[dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]] = {
    "sys.path": (lambda: tuple(sys.path), lambda wanted: _replace(sys.path, wanted)),
    "sys.meta_path": (lambda: tuple(sys.meta_path), lambda wanted: _replace(sys.meta_path, wanted)),
    "gc.callbacks": (lambda: tuple(gc.callbacks), lambda wanted: _replace(gc.callbacks, wanted)),
    "gc enabled": (gc.isenabled, _set_collecting),
    "gc thresholds": (gc.get_threshold, lambda wanted: gc.set_threshold(*wanted)),
    "gc debug flags": (gc.get_debug, gc.set_debug),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
    "excepthook": (lambda: sys.excepthook, partial(setattr, sys, "excepthook")),
    "profile of threads": (threading.getprofile, threading.setprofile),
    "excepthook of threads": (lambda: threading.excepthook, partial(setattr, threading, "excepthook")),
    "warnings.filters": (lambda: tuple(warnings.filters), _set_filters),
    "logging.disable": (lambda: logging.root.manager.disable, logging.disable),
}


def _read_settings() -> Values:
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def _directory() -> Values:
    try:
        return {"": os.getcwd()}  # noqa: PTH109 - only to be given back
    except OSError:  # removed
        return {}


_SIGNALS: Final = tuple(
    int(getattr(signal, name))
    for name in (
        *("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGCHLD", "SIGBREAK"),
        *("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2", "SIGWINCH"),
    )
    if hasattr(signal, name)
)
"""Those that programs handle: to ask for all that there are takes a fifth of a millisecond."""


def _handlers() -> Values:
    if threading.current_thread() is not threading.main_thread():
        return {}  # only the main thread may change them
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _loggers() -> Values:
    named = logging.root.manager.loggerDict.items()
    loggers = {name: logger for name, logger in named if isinstance(logger, logging.Logger)}
    return {
        logger: (logger.level, logger.disabled, logger.propagate, (*logger.handlers,), (*logger.filters,))
        for logger in (logging.root, *loggers.values())
    }


def _set_logger(logger: logging.Logger, wanted: tuple[Any, ...]) -> None:
    level, logger.disabled, logger.propagate, handlers, filters = wanted
    _replace(logger.handlers, handlers)
    _replace(logger.filters, filters)
    if logger.level != level:  # it makes every logger forget what it knows of levels
        logger.setLevel(level)


def _variables() -> Values:
    return dict(contextvars.copy_context().items())


def _locale() -> Values:
    module = sys.modules.get("locale")
    return {"": module.setlocale(module.LC_ALL)} if module else {}


def _set_locale(_key: str, wanted: str) -> None:
    module = sys.modules["locale"]
    module.setlocale(module.LC_ALL, wanted)


_DECIMAL: Final = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _decimal() -> Values:
    module = sys.modules.get("decimal")
    if module is None:
        return {}
    context = module.getcontext()
    kept: Values = {name: getattr(context, name) for name in _DECIMAL}
    return {**kept, "flags": dict(context.flags), "traps": dict(context.traps)}


def _set_decimal(name: str, wanted: object) -> None:
    setattr(sys.modules["decimal"].getcontext(), name, wanted)


def _loop_policy() -> Values:
    module = sys.modules.get("asyncio") if sys.version_info < (3, 14) else None  # deprecated from there on
    return {"": module.get_event_loop_policy()} if module else {}


def _set_loop_policy(_key: str, wanted: object) -> None:
    sys.modules["asyncio"].set_event_loop_policy(wanted)


def _random() -> Values:
    states: Values = {"random": random.getstate()}
    if (numpy := sys.modules.get("numpy.random")) is not None:
        states["numpy.random"] = numpy.get_state()
    return states


def _set_random(module: str, wanted: tuple[Any, ...]) -> None:
    if module == "random":
        random.setstate(wanted)
    else:
        sys.modules[module].set_state(wanted)


ENVIRONMENT: Final = "environment"
SURROUNDINGS: Final[dict[str, Aspect]] = {
    "directory": Aspect(_directory, lambda _key, wanted: os.chdir(wanted)),
    ENVIRONMENT: Aspect(
        lambda: dict(os.environ),
        lambda *item: os.environ.update([item]),
        lambda name: os.environ.pop(name, None),
    ),
    "settings": Aspect(_read_settings, lambda name, wanted: _SETTINGS[name][1](wanted)),
    # What was loaded stays loaded: many a module cannot be loaded twice.
    "modules": Aspect(lambda: dict(sys.modules), sys.modules.__setitem__),
    "signal handlers": Aspect(_handlers, signal.signal),
    "loggers": Aspect(_loggers, _set_logger),
    # A variable cannot be unset by anybody but who has set it.
    "context variables": Aspect(_variables, lambda variable, value: variable.set(value), by_identity=True),
    "locale": Aspect(_locale, _set_locale),
    "decimal context": Aspect(_decimal, _set_decimal),
    "event loop policy": Aspect(_loop_policy, _set_loop_policy, by_identity=True),
}
"""What every execution of a test finds as the first one found it."""

RANDOM: Final = Aspect(_random, _set_random, by_identity=True)
"""Random numbers: they go on from one execution to the next, to find out a test that varies."""
