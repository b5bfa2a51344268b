"""Fixtures: those of a function serve one execution, wider ones their scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from measured_fixtures import NOTE, ends_as_ever

if TYPE_CHECKING:
    from plugin_project import Project

pytest_plugins = ("plugin_project",)


# Every fixture asserts that it is new, and every test that nobody has used its fixtures before.
_FRESH: Final = (
    NOTE
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
    NOTE
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
