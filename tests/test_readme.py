"""The manual is true: what it shows runs, what exists is described, and what it describes exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_goref
from pytest_goref.cli.arguments import COMMANDS
from pytest_goref.metrics import DEFAULT_RULES, METRICS
from pytest_goref.plugin import hooks
from pytest_goref.plugin.options import OPTIONS
from pytest_goref.plugin.passes import PASSES
from pytest_goref.quantity import Unit, parse_quantity
from pytest_goref.report.export import FORMATS
from pytest_goref.store.artifacts import DEFAULT_MOST_BYTES
from pytest_goref.verdict import Outcome

if TYPE_CHECKING:
    from pytest_goref.model import Tolerance

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def blocks(comment: str) -> list[str]:
    """Return the code blocks that stand right below ``<!-- comment -->``."""
    return re.findall(rf"<!-- {re.escape(comment)} -->\n```\w+\n(.*?)```", README, re.DOTALL)


def section(title: str) -> str:
    """Return the text below a heading, up to the next one of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", README, re.DOTALL | re.MULTILINE)
    assert match, title
    return match[2]


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in ``text``, without backticks; an escaped bar does not end a cell."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip().replace("`", "").replace("\\|", "|") for cell in line] for line in cells]


def source() -> str:
    """Return the source of the package with the parts of each message joined."""
    files = (ROOT / "pytest_goref").rglob("*.py")
    return re.sub(r'["\']\s*\n\s*f?["\']', "", "\n".join(file.read_text(encoding="utf-8") for file in files))


@pytest.mark.parametrize("code", blocks("executed: script"))
def test_scripts_run(code: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("code", blocks("executed: tests"))
def test_marked_tests_pass_and_are_measured(code: str, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(code)
    number = code.count("def test_")
    done = pytester.runpytest_subprocess("--goref", "-p", "no:cacheprovider", "--goref-passes=counts,time")
    done.assert_outcomes(passed=number)
    assert f"goref: {number} measured" in done.stdout.str()


def test_there_are_examples_of_each_kind() -> None:
    assert blocks("executed: script")
    assert len(blocks("executed: tests")) == 3


def test_there_are_two_commands() -> None:
    commands = [*blocks("command: tour"), *blocks("command: test")]
    assert len(commands) == README.count("<!-- command: ") == 2
    assert commands[0].endswith("examples/tour.py\n")
    assert commands[1].endswith("-m pytest -n 2\n")
    assert re.search(r"^=+ .*\d+ passed.* in \d", blocks("output: test")[0], re.MULTILINE)


def test_the_tour_prints_what_is_shown(tour: subprocess.CompletedProcess[str]) -> None:
    (shown,) = blocks("output: tour")
    assert without_times(shown) == without_times(tour.stdout)


def without_times(text: str) -> list[str]:
    """Return the lines of ``text`` without what the clock decides."""
    return [re.sub(r"=* (.*) in [\d.]+s.* =*", r"\1", line) for line in text.splitlines()]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_and_ini_key_is_in_the_table(option: object) -> None:
    rows = {row[0]: row for row in table_rows(section("Options"))}
    name, metavar, ini = (getattr(option, field) for field in ("name", "metavar", "ini"))
    row = rows[f"--goref-{name}={metavar}" if metavar else f"--goref-{name}"]
    assert (f"goref_{name}" in row[1]) is (ini is not None)


def test_no_other_option_or_ini_key_is_mentioned() -> None:
    names = {option.name for option in OPTIONS}
    assert set(re.findall(r"--goref-([\w-]+)", README + CHANGELOG)) <= names
    assert set(re.findall(r"(?<!pytest_)(?<!\.)\bgoref_(\w+)", README)) - {"cache", "artifacts_limit"} <= {
        option.name for option in OPTIONS if option.ini
    }
    assert {"--goref", "--no-goref"} <= {row[0] for row in table_rows(section("Options"))}


def test_every_format_of_exports_is_described_and_the_limit_is_right() -> None:
    rows = table_rows(section("Profiles and exports"))
    assert [row[0] for row in rows[1:]] == list(FORMATS)
    limits = [row[1] for row in table_rows(section("Options")) if "goref_artifacts_limit" in row[1]]
    assert [parse_quantity(text.partition("=")[2], Unit.BYTE) for text in limits] == [DEFAULT_MOST_BYTES]


def test_every_marker_argument_is_in_the_table_and_in_an_example() -> None:
    arguments = set(re.findall(r"(\w+)=", hooks._MARKER))
    assert len(arguments) >= 8
    rows = table_rows(section("Marking tests"))
    assert {name for row in rows[1:] for name in row[0].split(", ")} == arguments
    examples = "\n".join(blocks("executed: tests"))
    assert arguments == set(re.findall(r"\b(\w+)=", " ".join(re.findall(r"profile\((.*)\)", examples))))


def test_every_metric_is_described_and_every_default_rule_is_right() -> None:
    metrics = {row[0]: row[1] for row in table_rows(section("What is measured, and how"))}
    assert {m.name: m.group.value for m in METRICS.values()}.items() <= metrics.items()
    defaults = {row[0]: (row[1], row[2]) for row in table_rows(section("Comparing")) if row[0] in METRICS}
    assert defaults == {
        metric.name: (tolerance_words(rule.tolerance, metric.unit), rule.severity.value)
        for metric, rule in DEFAULT_RULES.items()
    }


def tolerance_words(tolerance: Tolerance, unit: Unit) -> str:
    relative, absolute = tolerance.relative, tolerance.absolute
    words = [f"{relative:.0%}".replace("%", " %")] if relative else []
    number = f"{absolute // 1024} KiB" if unit is Unit.BYTE else str(absolute)
    return " + ".join([*words, number] if absolute or not words else words)


def test_every_rule_shown_is_one() -> None:
    from pytest_goref.compare.rules import parse_rule  # noqa: PLC0415 - only this test parses

    shown = re.findall(r"`((?:counts|allocations|calls|durations|leaks|wall_time|cpu_time):[^`]+)`", README)
    assert len(shown) >= 5
    for text in shown:
        assert parse_rule(text).metrics


def test_every_pass_and_every_outcome_of_a_test_is_described() -> None:
    assert set(PASSES) <= {row[0] for row in table_rows(section("What is measured, and how"))}
    outcomes = {outcome.value for outcome in Outcome} - {Outcome.GONE.value}  # of a row, never of a test
    assert outcomes <= {row[0] for row in table_rows(section("Comparing"))}


def test_every_command_is_described() -> None:
    rows = table_rows(section("The goref command"))
    assert [command.name for command in COMMANDS] == [row[0].split()[1] for row in rows[1:]]


@pytest.mark.parametrize("name", pytest_goref.__all__)
def test_every_public_name_is_mentioned(name: str) -> None:
    assert re.search(rf"\b{name}\b", section("The tracker"))


def test_every_message_that_is_explained_exists() -> None:
    code = source()
    rows = re.findall(r"^\| (.*?) \| ", section("Troubleshooting"), re.MULTILINE)[1:]
    assert len(rows) > 30
    texts = [text for row in rows for text in re.findall("`([^`]+)`", row)]
    missing = [text for text in texts if re.sub(r"\d+ rounds", "{rounds}", text) not in code]
    assert not missing


def test_relative_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_internal_links_lead_to_headings() -> None:
    titles = re.findall("^#+ (.*)$", README, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert links
    assert links <= headings


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == pytest_goref.__version__
    released = re.findall(r"^## \[(\d.*?)\]", CHANGELOG, re.MULTILINE)
    assert released[0] == pytest_goref.__version__
