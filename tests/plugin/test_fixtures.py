"""Fixtures: those of a function serve one execution, wider ones their scope; what they see is as ever."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, junit

from pytest_goref.model import Mode

pytest_plugins = ("plugin_project",)

_MEASURED: Final = ("--goref", "--goref-all", COUNTS)
_NOTE: Final = """
import pathlib
import pytest

def note(text):
    with open(pathlib.Path(__file__).parent / "log.txt", "a") as log:
        print(text, file=log)
"""


def modes(project: Project) -> dict[str, Mode]:
    """Return for each test of the last run whether it was executed again."""
    return {key.name: ended.record.mode for key, ended in project.last_results().items() if ended.record}


def ends_as_ever(project: Project, *args: str) -> pytest.RunResult:
    """Measure tests that can all be repeated, and that end as without measuring."""
    plain = project.run(*args)
    project.log()
    measured = project.run(*_MEASURED, *args)
    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert measured.ret == plain.ret
    assert set(modes(project).values()) == {Mode.WARM}, measured.stdout.str()
    return measured


# Every fixture asserts that it is new, and every test that nobody has used its fixtures before.
_FRESH: Final = (
    _NOTE
    + """
@pytest.fixture(scope="module")
def wide():
    return {"narrow": 0}

@pytest.fixture
def fresh(wide, request):
    assert wide["narrow"] == 0, "one of an execution before is still there"
    wide["narrow"] += 1
    used = []
    yield used
    assert used == ["used"]
    wide["narrow"] -= 1

@pytest.fixture
def finalized(request, wide):
    state = []
    request.addfinalizer(lambda: state.pop())
    state.append("up")
    return state

@pytest.fixture(params=["a", "b"])
def parametrized(request):
    return [request.param]

@pytest.fixture
def indirect(request):
    return {"value": request.param}

@pytest.fixture
def overridden():
    return "module"

@pytest.fixture(scope="class")
def counting(request):
    request.cls.of_class = []

@pytest.fixture(autouse=True)
def always(wide):
    wide.setdefault("always", 0)
    assert wide["always"] == 0
    wide["always"] = 1
    yield
    wide["always"] = 0

def test_yields(fresh):
    fresh.append("used")

def test_finalizes(finalized, request, wide):
    assert finalized == ["up"]
    wide["finalized"] = 1
    request.addfinalizer(lambda: wide.pop("finalized"))

def test_parametrized(parametrized):
    parametrized.append(1)
    assert len(parametrized) == 2

@pytest.mark.parametrize("indirect", [1, 2], indirect=True)
@pytest.mark.parametrize("direct", [3, 4])
def test_indirect(indirect, direct):
    assert indirect.pop("value") in (1, 2)

def test_dynamic(request):
    fresh = request.getfixturevalue("fresh")
    assert fresh == []
    fresh.append("used")

@pytest.mark.usefixtures("finalized")
def test_used(request):
    assert "finalized" in request.fixturenames

def test_overridden(overridden):
    assert overridden == "module"

class TestIt:
    @pytest.fixture
    def overridden(self, overridden):
        return f"{overridden} class"

    @pytest.fixture
    def own(self):
        self.value = 1

    def test_overridden(self, overridden):
        assert overridden == "module class"

    def test_instance(self, own):
        assert self.value == 1
        assert not hasattr(self, "other")
        self.value = self.other = 2

@pytest.mark.usefixtures("counting")
class TestOfClass:
    def test_first(self):
        assert self.of_class == []

    def test_second(self):
        assert self.of_class == []
"""
)


def test_fixtures_of_a_function_are_new_in_every_execution(project: Project) -> None:
    overridden = 'import pytest\n\n@pytest.fixture\ndef overridden():\n    return "conftest"\n'
    project.write({"test_it.py": _FRESH, "conftest.py": overridden})
    ends_as_ever(project)


_WIDE: Final = (
    _NOTE
    + """
def wide(scope, **options):
    def fixture(request):
        parameter = getattr(request, "param", "")
        lasts = scope != "class" or request.cls  # outside of a class it serves one execution
        note(f"{scope} up {parameter}") if lasts else None
        yield parameter
        note(f"{scope} down {parameter}") if lasts else None
    name = f"{scope}_{'auto' if options.get('autouse') else 'asked'}"
    return pytest.fixture(scope=scope, name=name, **options)(fixture)

a, b, c, d = (wide(scope, autouse=True) for scope in ("session", "package", "module", "class"))
e, f = wide("session"), wide("class")
g = wide("module", params=["x", "y"])

def test_before(session_asked):
    pass

class TestIt:
    def test_one(self, class_asked, module_asked):
        pass

    def test_two(self, class_asked, module_asked):
        pass

def test_dynamic(request):
    request.getfixturevalue("class_asked")

def test_after(module_asked):
    pass
"""
)


def test_wider_fixtures_are_set_up_and_torn_down_once_in_pytests_order(project: Project) -> None:
    project.write({"test_it.py": _WIDE, "test_more.py": _WIDE})
    project.run()
    plain = project.log()
    ends_as_ever(project)
    assert project.log() == plain
    assert plain.count("session up ") == 2 * 2  # an own fixture in each module, asked for and autouse


_PYTESTS_OWN: Final = (
    _NOTE
    + """
import logging, os, random, sys, warnings

@pytest.fixture
def logs(caplog):
    logging.getLogger("shop").warning("in set-up")
    assert caplog.messages == ["in set-up"]

def test_caplog(logs, caplog):
    assert caplog.messages == []
    logging.getLogger("shop").warning("in the call")
    assert caplog.messages == ["in the call"]
    assert [record.getMessage() for record in caplog.get_records("setup")] == ["in set-up"]
    caplog.set_level(logging.CRITICAL, "shop")

def test_level_is_given_back(caplog):
    assert logging.getLogger("shop").level == logging.NOTSET

@pytest.mark.parametrize("name", ["capsys", "capfd", "capsysbinary", "capfdbinary"])
def test_captures(name, request):
    capture = request.getfixturevalue(name)
    print("printed")
    assert str(capture.readouterr().out).count("printed") == 1

def test_monkeypatch(monkeypatch):
    assert "GOREF_PATCHED" not in os.environ
    assert os.getcwd() == START and not hasattr(os, "goref") and "goref" not in sys.path
    monkeypatch.setenv("GOREF_PATCHED", "1")
    monkeypatch.setattr(os, "goref", 1, raising=False)
    monkeypatch.syspath_prepend("goref")
    monkeypatch.chdir("/")

START = os.getcwd()

def test_recwarn(recwarn):
    assert len(recwarn) == 0
    warnings.warn("one", UserWarning)
    assert len(recwarn) == 1

def test_warns():
    with pytest.warns(UserWarning, match="one"):
        warnings.warn("one", UserWarning)

def test_directories(tmp_path, tmpdir):
    assert list(tmp_path.iterdir()) == []
    assert os.path.samefile(tmp_path, tmpdir)
    (tmp_path / "file").write_text("text")

KEY = pytest.StashKey()

def test_node(request, record_property, pytestconfig, cache):
    assert KEY not in request.node.stash
    request.node.stash[KEY] = 1
    assert request.node.user_properties == []
    record_property("name", "value")
    assert request.config is pytestconfig
    assert request.node.get_closest_marker("own") is None
    request.node.add_marker("own")
    cache.set("goref/test", 1)

def test_names(doctest_namespace):
    doctest_namespace["it"] = 1
"""
)


def test_fixtures_of_pytest_see_one_execution(project: Project) -> None:
    project.write({"test_it.py": _PYTESTS_OWN})
    ends_as_ever(project, "-o", "markers=own")


_RECORDED: Final = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_it(record_property, record_testsuite_property, record_xml_attribute, number):
    record_property("of test", number)
    record_testsuite_property("of suite", number)
    record_xml_attribute("attribute", number)
"""


def test_properties_are_recorded_once(project: Project) -> None:
    project.write({"test_it.py": _RECORDED})
    args = ("--junitxml=junit.xml", "-ojunit_family=xunit1", "-Wignore")
    texts = []
    for more in ((), _MEASURED):
        assert project.run(*args, *more).ret == 0
        text = (project.path / "junit.xml").read_text(encoding="utf-8")
        texts.append((text.count("of suite"), text.count("of test"), text.count("attribute=")))
    assert texts == [(2, 2, 2), (2, 2, 2)]
    assert junit(project).keys() == {"test_it[1]", "test_it[2]"}


_DIRECTORIES: Final = """
import pytest

RUNS = []

def test_it1(tmp_path):
    RUNS.append(1)
    (tmp_path / "number").write_text(str(len(RUNS)))

def test_dynamic(request):
    RUNS.append(1)
    (request.getfixturevalue("tmpdir") / "number").write_text(str(len(RUNS)), "utf-8")

def test_fails(tmp_path):
    (tmp_path / "number").write_text("failed")
    assert 0
"""


@pytest.mark.parametrize("policy", ["none", "failed", "all"])
def test_the_directory_of_the_first_execution_is_what_is_found(project: Project, policy: str) -> None:
    project.write({"test_it.py": _DIRECTORIES})
    found = []
    for args in ((), _MEASURED):
        project.run(*args, "--basetemp=base", "-o", f"tmp_path_retention_policy={policy}")
        base = project.path / "base"
        entries = {path.name: path.is_symlink() and path.readlink().name for path in base.iterdir()}
        found.append((entries, [path.read_text() for path in base.glob("test_it1*/number")]))
    plain, measured = found
    assert measured == plain
    assert ("test_it10" in measured[0]) == (policy != "failed")
    if policy == "all":
        assert measured[0]["test_it1current"] == "test_it10"
        assert measured[1] == ["1", "1"]  # the link leads there as well


def test_a_directory_that_is_not_pytests_own_is_kept(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import pathlib
import pytest

@pytest.fixture
def tmp_path():
    directory = pathlib.Path("precious")
    directory.mkdir(exist_ok=True)
    return directory

def test_it(tmp_path):
    (tmp_path / "file").touch()
"""
        }
    )
    ends_as_ever(project)
    assert (project.path / "precious" / "file").exists()


_FAILING: Final = """
import pytest

RUNS = []

@pytest.fixture
def failing():
    RUNS.append(1)
    if WHEN == "set-up" and len(RUNS) > FIRST:
        HOW
    yield
    if WHEN == "tear-down" and len(RUNS) > FIRST:
        HOW

def test_it(failing):
    pass
"""


@pytest.mark.parametrize("when", ["set-up", "tear-down"])
@pytest.mark.parametrize("how", ["raise OSError('no')", "pytest.skip('no')", "pytest.xfail('no')"])
def test_a_fixture_that_fails_ends_the_test_as_ever(project: Project, when: str, how: str) -> None:
    text = _FAILING.replace("WHEN", repr(when)).replace("HOW", how).replace("FIRST", "0")
    project.write({"test_it.py": text})
    plain, measured = project.run("-ra"), project.run("-ra", *_MEASURED)
    assert measured.parseoutcomes() == plain.parseoutcomes()
    assert measured.ret == plain.ret
    assert "not repeatable" not in measured.stdout.str()


@pytest.mark.parametrize("when", ["set-up", "tear-down"])
@pytest.mark.parametrize("how", ["raise OSError('no')", "pytest.skip('no')"])
def test_a_fixture_that_fails_later_is_told_and_changes_nothing(
    project: Project, when: str, how: str
) -> None:
    text = _FAILING.replace("WHEN", repr(when)).replace("HOW", how).replace("FIRST", "1")
    project.write({"test_it.py": text})
    measured = project.run(*_MEASURED)
    measured.assert_outcomes(passed=1)
    assert measured.ret == 0
    assert modes(project) == {"test_it": Mode.COLD}
    (told,) = (line for line in measured.outlines if "it passed once and failed when repeated" in line)
    assert "no" in told
    assert "test_it.py::test_it" in told


def test_a_second_insert_of_the_same_row_is_told(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import sqlite3
import pytest, pytest_goref

@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table users (name text primary key)")
    yield connection
    number = connection.execute("select count(*) from users").fetchone()
    connection.close()
    assert number == (1,)

def test_it(database):
    pytest_goref.ref("db.insert").deref()
    database.execute("insert into users values ('ann')")
"""
        }
    )
    measured = project.run(*_MEASURED)
    measured.assert_outcomes(passed=1)
    assert modes(project) == {"test_it": Mode.COLD}
    measured.stdout.fnmatch_lines(["*test_it: it passed once and failed when repeated (*UNIQUE*)"])
