"""The conclusion of a measured test: its verdict, the places that explain it, and the text of its failure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_goref.compare.limits import judge_alone
from pytest_goref.errors import GorefError
from pytest_goref.model import Group
from pytest_goref.plugin.passes import CPU
from pytest_goref.profile import ProfileKind
from pytest_goref.report.rows import failure_text
from pytest_goref.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_goref.compare.durations import Timing
    from pytest_goref.model import BaselineEntry, Record, Visit
    from pytest_goref.plugin.measurement import Plan
    from pytest_goref.plugin.pass_context import Collected
    from pytest_goref.plugin.revision import Counterparts
    from pytest_goref.plugin.seeds import SeedCheck
    from pytest_goref.profile import StackProfile
    from pytest_goref.store.reference import Reference

_STRICT: Final = (Outcome.NEW, Outcome.INCOMPARABLE, Outcome.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Judging:
    """How the verdict on a test is reached.

    Attributes:
        reference: what is compared with; None when nothing is.
        strict: whether tests that were not compared fail.
        saved: whether the results are to become a baseline, which has to explain what comes after it.
        seeds: checks regressions against other hash seeds, or against a process that was started as that of
            the other side; None when that is not needed.
        confirms: whether a test whose durations are suspect may wait for fresh processes to tell.

    """

    reference: Reference | None = None
    strict: bool = False
    saved: bool = False
    seeds: SeedCheck | Counterparts | None = None
    confirms: bool = False


class Conclusion:
    """What follows from the record of one test; it may change until its text is asked for.

    Args:
        plan: what was to be done with the test.
        judging: how verdicts are reached.
        record: what was measured.
        collected: what explains it.

    """

    def __init__(self, plan: Plan, judging: Judging, record: Record, collected: Collected) -> None:
        self.record = record
        self.plan = plan
        self._judging = judging
        self._collected = collected
        self.verdict = self._judge()
        self._cpu_before: StackProfile | None = None

    def _judge(self) -> Verdict:
        request, reference = self.plan.request, self._judging.reference
        if reference is None:
            return judge_alone(self.record, request.rules, request.limits)
        from pytest_goref.compare.judge import judge  # noqa: PLC0415 - each session that measures would pay

        try:
            expected = reference.get(self.record.key)
        except GorefError as error:  # it was readable when the session began
            return Verdict(self.record.key, Outcome.INCOMPARABLE, (), str(error))
        return judge(self.record, expected, request.rules, request.limits)

    @property
    def expected(self) -> BaselineEntry | None:
        """What is accepted for the test, None when nothing is or it cannot be read."""
        reference = self._judging.reference
        try:
            return reference.get(self.record.key) if reference else None
        except GorefError:  # the verdict says so
            return None

    @property
    def suspects(self) -> tuple[Timing, ...]:
        """The durations, slower or faster, that only fresh processes can decide."""
        expected, rules = self.expected, self.plan.request.rules
        if expected is None:
            return ()
        from pytest_goref.compare.durations import screened  # noqa: PLC0415 - as above
        from pytest_goref.compare.slowdown import Opinion  # noqa: PLC0415 - as above

        timings = screened(self.record, expected, rules)
        return tuple(timing for timing in timings if timing.decision.opinion is Opinion.OPEN)

    @property
    def must_wait(self) -> bool:
        """Whether fresh processes have to tell, and there will be some; what fails anyway is told at once."""
        return self._judging.confirms and not self.verdict.failures and bool(self.suspects)

    def check_seeds(self, first_ns: int) -> None:
        """Let no regression stand that another hash seed explains.

        Args:
            first_ns: how long the test took once.

        """
        seeds, reference = self._judging.seeds, self._judging.reference
        if seeds is not None and reference is not None:
            rules = self.plan.request.rules
            self.record, self.verdict = seeds.checked(self.record, self.verdict, reference, rules, first_ns)

    def confirm(self, fresh: tuple[Visit, ...], timings: Sequence[Timing], why_open: str) -> None:
        """Take over what fresh processes say of the suspects.

        Args:
            fresh: what they timed.
            timings: what follows for each suspect.
            why_open: why a suspect could not be timed as often as is allowed, "" when it was.

        """
        from pytest_goref.compare.durations import duration_findings, is_suspect  # noqa: PLC0415 - as above
        from pytest_goref.compare.judge import revised  # noqa: PLC0415 - as above
        from pytest_goref.compare.sameness import sameness  # noqa: PLC0415 - as above

        expected, rules = self.expected, self.plan.request.rules
        self.record = replace(self.record, fresh=fresh)
        same = sameness(self.record, expected) if expected else ""
        told = [finding for finding in self.verdict.findings if not is_suspect(finding)]
        told.extend(duration_findings(timings, rules, why_open=why_open, same=same))
        self.verdict = revised(self.verdict, told)

    @property
    def wants_profile(self) -> bool:
        """Whether a slower test is to be explained by where its time goes, which nobody has looked at yet."""
        slower = any(
            f.outcome is Outcome.REGRESSED and f.metric.group is Group.DURATIONS
            for f in self.verdict.findings
        )
        profiled = any(profile.kind is ProfileKind.CPU for profile in self._collected.profiles())
        return slower and not profiled and CPU in self.plan.request.on_demand

    def add_profiles(self, after: StackProfile | None, before: StackProfile | None) -> None:
        """Take over where the time of the test goes.

        Args:
            after: in the present code, None when it is not known.
            before: in the code compared with, None when that was profiled when it was accepted.

        """
        if after is not None:
            self._collected.take_profile(after)
        self._cpu_before = before

    def text(self) -> str:
        """Return the text with which the test fails, "" when it does not; the verdict is final then."""
        reference = self._judging.reference
        verdict = self.verdict = self._explained()
        not_compared = self._judging.strict and reference is not None and verdict.outcome in _STRICT
        if verdict.failures or not_compared:
            against = reference.words if reference else ""
            return failure_text(verdict, against, self.plan.spelling, self.plan.width)
        return ""

    def _explained(self) -> Verdict:
        """Return the verdict with the places where its regressions sit."""
        verdict, reference, collected = self.verdict, self._judging.reference, self._collected
        if reference is None or not verdict.findings:
            return verdict
        from pytest_goref.compare.where import Evidence, explain  # noqa: PLC0415 - as above

        cpu_after = next((p for p in collected.profiles() if p.kind is ProfileKind.CPU), None)
        try:
            stored = cpu_after and reference.profile(self.record.key, ProfileKind.CPU)
        except GorefError:  # the verdict says so
            return verdict
        evidence = Evidence(collected.callers, self._cpu_before or stored, cpu_after)
        return replace(verdict, where=explain(verdict, self.record, self.expected, evidence))
