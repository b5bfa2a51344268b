"""The values that every layer speaks: what was measured, what is expected, what was judged.

All are frozen; every stored number is an ``int`` in the base unit of its metric. Nothing here does I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pytest_goref.quantity import Unit


class Group(enum.Enum):
    """A family of metrics that users set rules for together."""

    COUNTS = "counts"
    ALLOCATIONS = "allocations"
    CALLS = "calls"
    DURATIONS = "durations"
    LEAKS = "leaks"
    SITES = "sites"
    """Allocations by place: they explain, and are never judged."""
    RUNTIME = "runtime"
    """What the interpreter and the system did meanwhile: shown, never judged."""


class Exactness(enum.Enum):
    """How far two measurements of unchanged code may differ; it decides how a metric is judged."""

    EXACT = "exact"
    """Not at all: any difference is real, unless the test itself varies."""
    REPEATABLE = "repeatable"
    """By little, and more when the test starts threads or an event loop."""
    NOISY = "noisy"
    """By whatever else the machine does."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """What is measured; less is better for all of them.

    Attributes:
        name: the stable name used in rules, files and tables.
        group: the family it belongs to.
        unit: the base unit of its samples.
        exactness: how far unchanged code may differ.
        portable: whether its numbers mean the same under another Python version.
        native: whether its numbers mean something else on another platform.
        judged: whether rules apply to it; if not, it is shown and explains.
        accepted: whether a baseline stores it.

    """

    name: str
    group: Group
    unit: Unit
    exactness: Exactness
    portable: bool = True
    native: bool = False
    judged: bool = True
    accepted: bool = True


Samples = tuple[int, ...]
"""Values of one (metric, subject) in the order taken; never empty. A value that never varied is kept once."""

Measurements = Mapping[Metric, Mapping[str, Samples]]
"""Metric -> subject -> samples. A metric that is present with no subjects was measured and saw nothing
(zero);
a metric that is absent was not measured."""


class _PathAndName(NamedTuple):
    path: str
    name: str


class TestKey(_PathAndName):
    """The identity of a test: a POSIX path from rootdir and the rest of its node id.

    A tuple, as keys are hashed and compared all the time.
    """

    __slots__ = ()
    __test__ = False  # pytest would otherwise try to collect it by its name

    @property
    def nodeid(self) -> str:
        """The node id as pytest prints and accepts it."""
        return f"{self.path}::{self.name}" if self.name else self.path


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a record was taken.

    Attributes:
        python: implementation and minor version, for example ``cpython-3.12``: calls compare only within one.
        machine: the machine in words, for example ``x86_64 Linux, Intel Xeon (2 CPUs)``.
        fingerprint: everything that durations depend on, in words: parts end with ``,`` or ``;``.

    """

    python: str
    machine: str
    fingerprint: str

    @property
    def platform(self) -> str:
        """Processor, operating system and engine of the tracker: allocations compare only within one."""
        return self.machine.partition(",")[0]


@dataclass(frozen=True, slots=True)
class Round:
    """One timed execution of a test, or of an inner loop in it, between two runs of the calibration kernels.

    Attributes:
        wall_ns: elapsed time.
        cpu_ns: CPU time of the measuring thread.
        preempted: involuntary context switches, 0 where the platform does not count them.
        process_cpu_ns: CPU time of all threads of the process.
        compute_before_ns: CPU time of the kernel that computes, right before; 0 when it did not run.
        compute_after_ns: the same, right after.
        memory_before_ns: CPU time of the kernel that allocates, right before; 0 when it did not run.
        memory_after_ns: the same, right after.
        iterations: how many calls the times are of; 1 for a whole test.

    """

    wall_ns: int
    cpu_ns: int
    preempted: int
    process_cpu_ns: int = 0
    compute_before_ns: int = 0
    compute_after_ns: int = 0
    memory_before_ns: int = 0
    memory_after_ns: int = 0
    iterations: int = 1


KERNEL_VERSION: Final = 1
"""Which calibration kernels run around a round; rounds between different ones do not compare."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The rounds that one process took; rounds of one visit are correlated, so a visit is one observation.

    Attributes:
        rounds: in the order taken, never empty.
        timers: for each name given to ``goref.measure``, the rounds of its inner loop.

    """

    rounds: tuple[Round, ...]
    timers: Mapping[str, tuple[Round, ...]] = field(default_factory=dict)


class Mode(enum.Enum):
    """How a test was executed."""

    WARM = "warm"
    """Repeated after a first execution, so that caches were filled."""
    COLD = "cold"
    """Executed once."""


class ProblemKind(enum.Enum):
    """Why a record holds less than was asked for."""

    NOT_REPEATABLE = "not-repeatable"
    """The test passed once and failed when repeated: its numbers are not comparable."""
    SKIPPED = "skipped"
    """A pass or a metric could not be measured."""
    ONCE = "once"
    """The test was executed once although it asked for more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason, in a sentence, why a record holds less than was asked for."""

    kind: ProblemKind
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """All measurements of one test in one run.

    Attributes:
        key: the test.
        environment: where it ran.
        mode: how it was executed.
        measurements: what was counted.
        visit: its timed rounds in the process of the session, None when none were taken.
        problems: why it holds less than was asked for.
        concurrent: whether threads or an event loop ran, so that repeatable metrics vary more.
        fresh: what fresh processes timed, to store or to confirm a change; empty when none did.
        code: fingerprint of the code of all project functions that ran, "" when it is not known.
        draws: in how many executions refs were counted, each with other examples; 0 where none are drawn.

    """

    key: TestKey
    environment: Environment
    mode: Mode
    measurements: Measurements
    visit: Visit | None = None
    problems: tuple[Problem, ...] = ()
    concurrent: bool = False
    fresh: tuple[Visit, ...] = ()
    code: str = ""
    draws: int = 0

    @property
    def comparable(self) -> bool:
        """Whether the numbers may be compared or accepted."""
        return all(problem.kind is not ProblemKind.NOT_REPEATABLE for problem in self.problems)


@dataclass(frozen=True, slots=True)
class BaselineEntry:
    """What is accepted for one test.

    Attributes:
        key: the test.
        mode: how it was executed when accepted.
        python: where metrics that are not portable were taken, as ``Environment.python``.
        measurements: the accepted numbers; durations are in ``visits``.
        visits: what fresh processes timed, by machine fingerprint, oldest first.
        platform: where native metrics were taken, as ``Environment.platform``; "" when there are none.
        code: as ``Record.code``; it compares within one Python version.

    """

    key: TestKey
    mode: Mode
    python: str
    measurements: Measurements
    visits: Mapping[str, tuple[Visit, ...]] = field(default_factory=dict)
    platform: str = ""
    code: str = ""

    @classmethod
    def from_record(cls, record: Record) -> BaselineEntry:
        """Return the entry that accepts ``record`` as it is."""
        environment = record.environment
        return cls(
            key=record.key,
            mode=record.mode,
            python=environment.python,
            measurements=record.measurements,
            visits={environment.fingerprint: record.fresh} if record.fresh else {},
            platform=environment.platform if any(m.native for m in record.measurements) else "",
            code=record.code,
        )


class Severity(enum.Enum):
    """What a regression does to the test."""

    FAIL = "fail"
    WARN = "warn"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much more is accepted; a regression must exceed both.

    Attributes:
        relative: a fraction, 0.05 for 5 %.
        absolute: in the base unit of the metric.

    """

    relative: float = 0.0
    absolute: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """Tolerance and severity of one metric."""

    tolerance: Tolerance
    severity: Severity


@dataclass(frozen=True, slots=True)
class Limit:
    """An absolute limit that a marker sets: no baseline is needed.

    Attributes:
        metric: what is limited.
        subject: of what; empty for the whole test.
        most: the largest accepted value, in the base unit of the metric.

    """

    metric: Metric
    subject: str
    most: int
