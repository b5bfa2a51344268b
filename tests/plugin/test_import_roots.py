from __future__ import annotations

import importlib.machinery
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_goref.plugin.import_roots import ForeignCodeError, ProjectFiles, check_modules, import_roots
from pytest_goref.store.worktree import Revision, Worktree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path.resolve() / "project"
    for name in (
        "src/shop/__init__.py",
        "src/shop/prices.py",
        "lib/tool.py",
        "tests/unit/test_shop.py",
        ".venv/lib/python3.12/site-packages/dep/__init__.py",
        ".goref_cache/worktrees/0-1/project/src/shop/__init__.py",
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    return top


@pytest.fixture
def worktree(top: Path) -> Worktree:
    return Worktree(Revision("main", "1a2b3c4d5e6f" + "0" * 28, top), top / ".goref_cache/worktrees/0-1")


def module(name: str, file: Path | str | None) -> tuple[str, ModuleType]:
    made = ModuleType(name)
    if file is not None:
        made.__file__ = str(file)
    return name, made


class Finder:
    """Finds packages where it is told, as the finder of an editable install does."""

    def __init__(self, **places: Path) -> None:
        self._places = places

    def find_spec(self, name: str, path: object) -> importlib.machinery.ModuleSpec | None:
        assert path is None
        if name not in self._places:
            return None
        place = self._places[name]
        spec = importlib.machinery.ModuleSpec(name, None, origin=str(place))
        if place.is_dir():
            spec.origin, spec.submodule_search_locations = None, [str(place)]
        return spec


def test_files_of_the_project_are_those_that_are_not_installed(top: Path) -> None:
    files = ProjectFiles(top)
    assert files.find(str(top / "lib" / ".." / "src/shop/prices.py")) == top / "src/shop/prices.py"
    for name in (
        ".venv/lib/python3.12/site-packages/dep/__init__.py",
        ".goref_cache/worktrees/0-1/project/src/shop/__init__.py",
        "../project2/a.py",
    ):
        assert files.find(str(top / name)) is None


def test_a_file_is_found_through_a_link(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(top / "src", target_is_directory=True)
    assert ProjectFiles(top).find(str(tmp_path / "link/shop/prices.py")) == top / "src/shop/prices.py"


def test_an_environment_in_the_project_is_not_the_projects(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(top / "lib"))
    assert ProjectFiles(top).find(str(top / "lib/tool.py")) is None
    monkeypatch.setattr(sys, "prefix", str(top.parent))  # a project may also be kept in an environment
    assert ProjectFiles(top).find(str(top / "lib/tool.py")) == top / "lib/tool.py"


def test_roots_on_the_path_come_in_its_order(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(top)
    site = str(top / ".venv/lib/python3.12/site-packages")
    path = [str(top / "src"), "", os.fspath(top.parent), site, "lib", str(top / "src/")]
    assert import_roots(ProjectFiles(top), path, {}, ()) == (top / "src", top, top / "lib")


def test_a_finder_adds_the_roots_of_what_it_finds(top: Path) -> None:
    modules = dict(
        (
            module("shop", top / "src/shop/__init__.py"),
            module("shop.prices", top / "src/shop/prices.py"),
            module("tool", top / "lib/tool.py"),
            module("os", os.__file__),
            module("dep", top / ".venv/lib/python3.12/site-packages/dep/__init__.py"),
            module("built_in", None),
        )
    )
    finder = Finder(shop=top / "src/shop", tool=top / "lib/tool.py")
    files = ProjectFiles(top)
    assert import_roots(files, [str(top)], modules, (object(), finder)) == (top, top / "src", top / "lib")


def test_what_pytest_loads_without_looking_is_no_root(top: Path) -> None:
    modules = dict(
        (
            module("tests.unit.test_shop", top / "tests/unit/test_shop.py"),
            module("conftest_of_shop", top / "tests/unit/conftest.py"),
            module("shop", top / "src/shop/__init__.py"),
        )
    )
    finder = Finder(shop=top / "lib/shop", tests=top / "lib/tests.py")
    assert import_roots(ProjectFiles(top), [], modules, (finder,)) == ()


def test_a_project_that_is_a_package_has_its_root_above(top: Path) -> None:
    (top / "__init__.py").touch()
    modules = dict([module("project", top / "__init__.py"), module("project.lib.tool", top / "lib/tool.py")])
    path = [str(top.parent)]
    finder = Finder(project=top)
    assert import_roots(ProjectFiles(top), path, modules, (finder,)) == (top.parent,)


def test_extension_modules_and_odd_modules_do_no_harm(top: Path) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    modules: dict[str, object] = {"lazy": Lazy("lazy"), "none": None, "number": 1}
    modules.update([module("speed", top / f"lib/speed{suffix}")])
    finder = Finder(speed=top / f"lib/speed{suffix}")
    assert import_roots(ProjectFiles(top), [], modules, (finder,)) == (top / "lib",)


def test_modules_of_the_worktree_and_of_others_are_accepted(top: Path, worktree: Worktree) -> None:
    imported = [
        str(worktree.top / "src/shop/__init__.py"),
        os.__file__,
        pytest.__file__,
        str(top / ".venv/lib/python3.12/site-packages/dep/__init__.py"),
    ]
    check_modules(imported, ProjectFiles(top), worktree, [worktree.top / "src", worktree.top / "nowhere"])


def test_code_of_the_working_tree_is_refused(top: Path, worktree: Worktree) -> None:
    with pytest.raises(ForeignCodeError) as caught:
        check_modules([str(top / "src/shop/prices.py")], ProjectFiles(top), worktree, [])
    assert str(caught.value).startswith(
        "git:main (1a2b3c4d5e6f) cannot be compared with: there, too, src/shop/prices.py of the working tree "
        "was imported; "
    )


@pytest.mark.parametrize("installed", ["shop/prices.py", "tool.py", "tool.cpython-312.so"])
def test_an_installed_copy_of_the_project_is_refused(
    installed: str, top: Path, worktree: Worktree, tmp_path: Path
) -> None:
    (worktree.top / "src/tool.py").touch()
    file = tmp_path / "venv/site-packages" / installed
    with pytest.raises(ForeignCodeError) as caught:
        check_modules([str(file)], ProjectFiles(top), worktree, [worktree.top / "src"])
    name = installed.partition("/")[0].partition(".")[0]
    assert f"both sides import {name} as it is installed, {file}, " in str(caught.value)
    assert "pip install -e ." in str(caught.value)
