"""What a session prints is told once, on any terminal."""

from __future__ import annotations

import pytest
from neighbour_tests import write_test
from plugin_project import COUNTS, Project, closing_line

pytest_plugins = ("plugin_project", "neighbour_tests")


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_a_test_is_seen_and_heard_once(project: Project, capture: str) -> None:
    code = """
        import logging, os, sys, warnings
        print("printed out")
        print("printed err", file=sys.stderr)
        os.write(1, b"written out\\n")
        os.write(2, b"written err\\n")
        logging.getLogger("of.test").warning("logged")
        warnings.warn("warned", stacklevel=1)
    """
    write_test(project, code.replace("\n        ", "\n").strip())

    result = project.run_apart(
        *("--goref", COUNTS, "-p", "no:cacheprovider", "-rP", "-o", "log_cli=true"),
        *("-o", "log_file=log.txt", "--junit-xml=junit.xml", "-o", "junit_logging=all"),
        f"--capture={capture}",
    )

    result.assert_outcomes(passed=1, warnings=1)
    told = result.stdout.str() + result.stderr.str()
    shown_again = 2 if capture == "tee-sys" else 1  # -rP shows what was captured
    assert told.count("printed out") == told.count("printed err") == shown_again
    assert told.count("written out") == told.count("written err") == 1
    assert told.count("logged") == 2  # live, and by -rP
    assert told.count("UserWarning: warned") == 1
    assert (project.path / "log.txt").read_text(encoding="utf-8").count("logged") == 1
    in_xml = (project.path / "junit.xml").read_text(encoding="utf-8")
    assert in_xml.count("printed out") <= 1
    assert in_xml.count("logged") == 1


def test_output_that_knows_only_ascii(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    use = 'pytest_goref.ref("schl\u00fcssel \u6f22\u5b57").deref()'
    write_test(project, use)
    project.run_apart("--goref-save=main", COUNTS)
    write_test(project, f"{use}\n{use}")

    result = project.run_apart("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.stdout.str().isascii()
    assert r"schl\xfcssel \u6f22\u5b57" in result.stdout.str()
    assert closing_line(result).endswith("; 1 regressed, 0 improved")


def test_output_that_knows_unicode(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUTF8", "1")
    write_test(project, 'pytest_goref.ref("schl\u00fcssel").deref()')
    project.write({"pytest.ini": "[pytest]\ngoref_passes = counts\n"})
    project.run_apart("--goref-save=main")
    project.replace("test_it.py", '").deref()', '").deref(); pytest_goref.ref("schl\u00fcssel").deref()')

    assert "goref: schl\u00fcssel 1 -> 2 (+1) refs" in project.run_apart("--goref-compare=main").stdout.str()


@pytest.mark.parametrize("columns", ["1", "20", "40", "400"])
def test_a_terminal_of_any_width(project: Project, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    keys = "for key in ('k', 'a.very.long.key.' * 9):\n    pytest_goref.ref(key).deref()"
    write_test(project, keys)
    project.run("--goref-save=main", COUNTS)
    write_test(project, f"{keys}\n    pytest_goref.ref(key).deref()")

    result = project.run("--goref-compare=main", COUNTS)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    rows = [line for line in result.outlines if line.startswith("  refs ")]
    assert len(rows) == 2
    assert max(map(len, rows)) <= (int(columns) if int(columns) >= 40 else 80)  # as pytest takes it
    assert closing_line(result).endswith("; 1 regressed, 0 improved")
