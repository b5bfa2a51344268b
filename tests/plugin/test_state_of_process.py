"""After a measured test the process is as after one plain execution, whatever the test has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_goref.model import Mode

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)

# The changes add up: whoever finds more of one than a plain execution leaves finds a repetition.
_CHANGES: Final = """
import contextvars, decimal, gc, locale, logging, os, random, signal, sys, threading, types, warnings
import numpy.random
import pytest

VARIABLE = contextvars.ContextVar("VARIABLE", default=0)
LOGGER = logging.getLogger("shop")
MODULE = "goref_module"
sys.modules[MODULE] = types.ModuleType("begun")

class Handler:
    def __init__(self, number):
        self.number = number

    def __call__(self, *args):
        pass

def number_of(handler):
    return getattr(handler, "number", 0)

def descriptors():
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0

BEFORE = []

def state():
    return {
        "directory": os.getcwd(),
        "environment": os.environ.get("GOREF_COUNT"),
        "random": random.random(),
        "numpy.random": numpy.random.random(),
        "sys.path": sys.path.count("added"),
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)),
        "profile and trace": (sys.getprofile(), sys.gettrace(), threading.getprofile(), threading.gettrace()),
        "monitoring": [sys.monitoring.get_tool(i) for i in range(6)] if sys.version_info >= (3, 12) else (),
        "limits": (sys.getrecursionlimit(), round(sys.getswitchinterval(), 6)),
        "filters": len(warnings.filters),
        "logging": (LOGGER.level, len(LOGGER.handlers), logging.root.level, len(logging.root.handlers)),
        "module": sys.modules[MODULE].__name__,
        "signal": number_of(signal.getsignal(signal.SIGTERM)),
        "excepthook": number_of(sys.excepthook),
        "variable": VARIABLE.get(),
        "decimal": decimal.getcontext().prec,
        "locale": locale.setlocale(locale.LC_ALL),
        "threads": threading.active_count(),
        "descriptors": descriptors() - BEFORE.pop(),
    }

@pytest.fixture(scope="module", autouse=True)
def wide():
    os.environ["GOREF_COUNT"] = "1"
    sys.path.append("wide")
    VARIABLE.set(1)
    yield
    sys.path.remove("wide")

@pytest.mark.profile
def test_measured():  # what the session itself opens, it opens here
    pass

def test_counts():
    BEFORE.append(descriptors())

@pytest.mark.profile
def test_changes(tmp_path):
    assert os.environ["GOREF_COUNT"] == "1"  # every execution finds what the first one has found
    assert (gc.isenabled(), gc.get_threshold()[0] != 1234, sys.path.count("wide")) == (True, True, 1)
    assert (VARIABLE.get(), LOGGER.handlers, sys.modules[MODULE].__name__) == (1, [], "begun")
    assert (number_of(sys.excepthook), number_of(signal.getsignal(signal.SIGTERM))) == (0, 0)
    os.environ["GOREF_COUNT"] += "1"
    os.chdir("/")
    random.random(), numpy.random.random()
    sys.path.append("added")
    gc.disable()
    gc.set_threshold(1234)
    gc.callbacks.append(Handler(1))
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    sys.setswitchinterval(sys.getswitchinterval() * 2)
    warnings.simplefilter("ignore", UnicodeWarning)
    LOGGER.setLevel(LOGGER.level + 1)
    LOGGER.addHandler(logging.NullHandler())
    logging.root.addHandler(logging.NullHandler())
    name = sys.modules[MODULE].__name__
    sys.modules[MODULE] = types.ModuleType(f"{name} again")
    signal.signal(signal.SIGTERM, Handler(number_of(signal.getsignal(signal.SIGTERM)) + 1))
    sys.excepthook = Handler(number_of(sys.excepthook) + 1)
    VARIABLE.set(VARIABLE.get() + 1)
    decimal.getcontext().prec += 1
    locale.setlocale(locale.LC_ALL, "C")
    sys.setprofile(None)

def test_finds():
    with open(os.path.join(os.path.dirname(__file__), "log.txt"), "a") as log:
        for name, value in state().items():
            print(name, value, file=log)
"""


def test_a_measured_test_leaves_what_one_execution_leaves(project: Project) -> None:
    project.write(
        {
            "test_it.py": _CHANGES,
            "conftest.py": "import random, numpy.random\nrandom.seed(0)\nnumpy.random.seed(0)\n",
        }
    )
    project.run_apart("-Wignore").assert_outcomes(passed=4)
    plain = project.log()
    result = project.run_apart(
        "-Wignore", "--goref", "--goref-rounds=2", "--goref-passes=time,counts,memory,cpu"
    )
    measured = project.log()
    records = {key.name: ended.record for key, ended in project.last_results().items()}
    record = records["test_changes"]

    result.assert_outcomes(passed=4)
    assert measured == plain
    assert len(plain) == 19
    assert record is not None
    assert record.mode is Mode.WARM, record.problems
    assert record.visit is not None
