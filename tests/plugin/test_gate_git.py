from __future__ import annotations

import os
import sys
import textwrap

import pytest
from git_project import SHOP, TEST_SHOP, GitProject, git
from plugin_project import closing_line

pytest_plugins = ["plugin_project", "git_project"]

MORE = ("range(orders)", "range(orders + 1)")

PTH = """
import sys
sys.path.append(%r)
"""
"""What a line of a .pth file does at the start of Python."""
FINDER = """
import importlib.machinery
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.machinery.PathFinder.find_spec(name, [%r]) if path is None else None

sys.meta_path.append(Finder)
"""
"""What the finder of an editable install does."""


def head(project: GitProject) -> str:
    return f"git:base ({git(project.path, 'rev-parse', '--short=12', 'base')})"


def test_unchanged_code_passes(shop: GitProject) -> None:
    result = shop.compare()
    result.assert_outcomes(passed=1)
    assert closing_line(result).startswith("goref: 1 compared, 0 new, 0 missing, 0 incomparable")
    result.stdout.fnmatch_lines([f"goref: measuring 1 test in {head(shop)}"])
    shop.assert_worktrees_removed()


def test_more_work_than_in_the_revision_fails_and_is_named(shop: GitProject) -> None:
    shop.project.replace("shop.py", *MORE)
    result = shop.compare()
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert f"measuring 1 test in {head(shop)}; the working tree has uncommitted changes" in output
    assert "db.query" in output
    assert "3 -> 4" in " ".join(output.split())
    assert "shop.py:query" in output
    assert head(shop) in output.partition("FAILURES")[2]
    shop.assert_worktrees_removed()


def test_commits_are_compared_as_well(shop: GitProject) -> None:
    shop.project.replace("shop.py", *MORE)
    shop.commit({}, tag="later")
    shop.compare().assert_outcomes(failed=1)
    result = shop.compare(rev="later")
    result.assert_outcomes(passed=1)
    assert "uncommitted" not in result.stdout.str()


def test_every_pass_is_compared(shop: GitProject) -> None:
    more = "    kept = [bytearray(200_000) for _ in range(orders)]\n    for _ in range(orders):"
    shop.project.replace("shop.py", "    for _ in range(orders):", more)
    result = shop.project.run_apart("--goref-compare=git:base", "--goref-passes=counts,memory", "-v")
    result.assert_outcomes(failed=1)
    words = " ".join(result.stdout.str().split())
    assert "allocated" in words
    assert "shop.py:total" in words


@pytest.mark.parametrize("site", [PTH, FINDER], ids=["pth", "finder"])
def test_an_editable_install_of_a_src_layout_works(
    site: str,
    git_project: GitProject,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    files = {"src/shop/__init__.py": "", "src/shop/orders.py": SHOP, ".gitignore": "__pycache__/\n"}
    test = TEST_SHOP.replace("import shop", "from shop import orders as shop")
    git_project.commit({**files, "tests/test_orders.py": test})
    outside = tmp_path_factory.mktemp("site")
    (outside / "sitecustomize.py").write_text(site % str(git_project.path / "src"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(outside))
    options = ("--goref-compare=git:base", "--goref-passes=counts")
    git_project.project.run_apart(*options).assert_outcomes(passed=1)
    git_project.project.replace("src/shop/orders.py", *MORE)
    result = git_project.project.run_apart(*options)
    result.assert_outcomes(failed=1)
    assert "src/shop/orders.py:query" in result.stdout.str()
    git_project.assert_worktrees_removed()


def test_what_python_path_names_is_of_the_revision_too(
    git_project: GitProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_project.commit({"lib/shop.py": SHOP, "tests/test_shop.py": TEST_SHOP, ".gitignore": "__pycache__/\n"})
    git_project.project.replace("lib/shop.py", *MORE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(git_project.path / "lib"), *sys.path]))
    result = git_project.project.run_apart("--goref-compare=git:base", "--goref-passes=counts")
    result.assert_outcomes(failed=1)
    assert "3 -> 4" in " ".join(result.stdout.str().split())


def test_rootdir_may_be_below_the_top_of_the_repository(git_project: GitProject) -> None:
    project = git_project.project
    files = {
        "back/shop.py": SHOP,
        "back/test_shop.py": TEST_SHOP,
        "back/pytest.ini": "[pytest]\n",
    }
    git_project.commit({**files, ".gitignore": "__pycache__/\n"})
    project.replace("back/shop.py", *MORE)
    result = project.run("--rootdir=back", "-c", "back/pytest.ini", "back", "--goref-compare=git:base")
    result.assert_outcomes(failed=1)
    words = " ".join(result.stdout.str().split())
    assert "3 -> 4" in words
    assert " shop.py:query" in words
    assert (git_project.path / "back/.goref_cache/history.db").exists()


def test_a_project_that_is_a_package_keeps_its_name(git_project: GitProject) -> None:
    name = git_project.path.name
    test = TEST_SHOP.replace("import shop", f"from {name} import shop")
    git_project.commit(
        {"__init__.py": "", "shop.py": SHOP, "test_shop.py": test, ".gitignore": "__pycache__/\n"}
    )
    git_project.project.replace("shop.py", *MORE)
    result = git_project.compare()
    result.assert_outcomes(failed=1)
    assert "3 -> 4" in " ".join(result.stdout.str().split())


def test_what_git_ignores_is_taken_from_the_working_tree(git_project: GitProject) -> None:
    shop = f"from pkg._version import version\n{SHOP}"
    test = TEST_SHOP.replace("import shop", "from pkg import shop")
    ignored = "__pycache__/\n_version.py\n"
    git_project.commit(
        {"pkg/__init__.py": "", "pkg/shop.py": shop, "test_shop.py": test, ".gitignore": ignored}
    )
    git_project.project.write({"pkg/_version.py": "version = 2\n"})
    result = git_project.compare()
    result.assert_outcomes(passed=1)
    assert closing_line(result).startswith("goref: 1 compared")
    taken = "goref: taken from the working tree for both sides, as git ignores them: pkg/_version.py"
    result.stdout.fnmatch_lines([taken])


def test_what_other_tests_do_before_is_no_regression(git_project: GitProject) -> None:
    warm = TEST_SHOP.replace("shop.total(3)", "shop.total(1 + len(SEEN))")
    test = f"SEEN = []\n\ndef test_before():\n    SEEN.append(1)\n{warm}"
    git_project.commit({"shop.py": SHOP, "test_shop.py": test, ".gitignore": "__pycache__/\n"})
    result = git_project.compare()
    result.assert_outcomes(passed=2)
    assert closing_line(result).startswith(
        "goref: 1 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive"
    )
    git_project.project.replace("shop.py", *MORE)
    result = git_project.compare()
    result.assert_outcomes(passed=1, failed=1)
    assert "1 -> 2" in " ".join(result.stdout.str().split())


def test_a_limit_is_held_against_the_session(shop: GitProject) -> None:
    shop.project.replace("test_shop.py", "mark.profile", 'mark.profile(max_count={"db.query": 2})')
    result = shop.compare()
    result.assert_outcomes(failed=1)
    assert "0 regressed, 0 improved, 1 over limit" in closing_line(result)


def test_the_order_of_a_set_is_no_regression(
    git_project: GitProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = """
        NAMES = {f"name {number}" for number in range(40)}

        @pytest.mark.profile
        def test_names():
            for name in NAMES:
                shop.query()
                if name == "name 7":
                    break
    """
    test = TEST_SHOP + textwrap.dedent(sets)
    git_project.commit({"shop.py": SHOP, "test_shop.py": test, ".gitignore": "__pycache__/\n"})
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    result = git_project.project.run_apart("--goref-compare=git:base", "--goref-passes=counts")
    result.assert_outcomes(passed=2)
    assert "2 compared, 0 new, 0 missing, 0 incomparable, 0 inconclusive" in closing_line(result)


def test_a_test_that_the_revision_has_not_is_new(shop: GitProject) -> None:
    shop.project.write({"test_shop.py": TEST_SHOP.replace("test_total", "test_sum") + TEST_SHOP})
    shop.project.write({"test_file.py": TEST_SHOP})
    result = shop.compare()
    result.assert_outcomes(passed=3)
    assert closing_line(result).startswith("goref: 1 compared, 2 new, 0 missing, 0 incomparable")
    new = "test_file.py::test_total, test_shop.py::test_sum"
    result.stdout.fnmatch_lines([f"goref: new, as {head(shop)} has no such test (2): {new}"])


def test_nothing_but_new_tests_is_no_error(shop: GitProject) -> None:
    shop.project.write({"test_file.py": TEST_SHOP})
    result = shop.compare("test_file.py")
    result.assert_outcomes(passed=1)
    assert closing_line(result).startswith("goref: 0 compared, 1 new")


@pytest.mark.parametrize(
    "body",
    ["assert False", "pytest.skip('not yet')", "import os; os._exit(3)"],
    ids=["fails", "skips", "dies"],
)
def test_a_test_that_does_not_pass_in_the_revision_is_incomparable(body: str, shop: GitProject) -> None:
    fixed = "@pytest.mark.profile\ndef test_fixed():\n    "
    shop.commit({"test_shop.py": f"{TEST_SHOP}\n{fixed}{body}\n"})
    shop.project.write({"test_shop.py": f"{TEST_SHOP}\n{fixed}shop.total(2)\n"})
    result = shop.compare()
    result.assert_outcomes(passed=2)
    assert closing_line(result).startswith("goref: 1 compared, 0 new, 0 missing, 1 incomparable")
    result.stdout.fnmatch_lines([f"*test_shop.py::test_fixed: not measured in {head(shop)}: *"])
    shop.compare("--goref-strict").assert_outcomes(passed=1, failed=1)


def test_a_file_that_cannot_be_collected_in_the_revision_is_incomparable(shop: GitProject) -> None:
    shop.commit({"test_other.py": "import nowhere_to_be_found\n" + TEST_SHOP})
    shop.project.write({"test_other.py": TEST_SHOP})
    result = shop.compare()
    result.assert_outcomes(passed=2)
    assert closing_line(result).startswith("goref: 1 compared, 0 new, 0 missing, 1 incomparable")
    result.stdout.fnmatch_lines([f"*test_other.py::test_total: not measured in {head(shop)}: *"])


def test_a_test_need_not_be_marked_in_the_revision(shop: GitProject) -> None:
    shop.commit({"test_shop.py": TEST_SHOP.replace("@pytest.mark.profile", "")})
    shop.project.write({"test_shop.py": TEST_SHOP})
    shop.project.replace("shop.py", *MORE)
    shop.compare().assert_outcomes(failed=1)


def refusal(result: pytest.RunResult) -> str:
    """Return the one line with which pytest refused to run any test."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "passed" not in result.stdout.str()
    errors = [line for line in result.errlines if line.startswith("ERROR: goref: ")]
    assert len(errors) == 1, result.errlines
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    return errors[0].removeprefix("ERROR: goref: ")


def test_an_unknown_revision_is_refused(shop: GitProject) -> None:
    assert "'nowhere' is not a commit of the repository" in refusal(shop.compare(rev="nowhere"))


def test_an_option_is_no_revision(shop: GitProject) -> None:
    assert "'--all' is not a revision" in refusal(shop.compare(rev="--all"))


def test_a_shallow_clone_is_refused_with_the_remedy(
    shop: GitProject, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.project.replace("shop.py", *MORE)
    shop.commit({}, tag="later")
    git(shop.path.parent, "clone", "--quiet", "--depth=1", shop.path.as_uri(), f"{shop.path.name}-clone")
    monkeypatch.chdir(shop.path.parent / f"{shop.path.name}-clone")
    line = refusal(shop.compare(rev="HEAD~1"))
    assert "shallow clone" in line
    assert "fetch-depth: 0" in line


def test_no_repository_is_refused(
    shop: GitProject, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path_factory.mktemp("elsewhere")
    (directory / "test_shop.py").write_text("def test_a(): pass\n")
    monkeypatch.chdir(directory)
    assert "it is not in a git repository" in refusal(shop.compare())


def test_workers_are_refused(shop: GitProject) -> None:
    pytest.importorskip("xdist")
    assert "cannot be used with xdist workers (-n)" in refusal(shop.compare("-n2"))
    shop.compare("-n0").assert_outcomes(passed=1)


def test_code_of_the_working_tree_in_the_worktree_is_refused(git_project: GitProject) -> None:
    conftest = f"import sys\nsys.path.insert(0, {str(git_project.path / 'lib')!r})\n"
    files = {"conftest.py": conftest, "lib/shop.py": SHOP, "tests/test_shop.py": TEST_SHOP}
    git_project.commit({**files, ".gitignore": "__pycache__/\n"})
    line = refusal(git_project.compare())
    assert line.startswith(
        f"{head(git_project)} cannot be compared with: there, too, lib/shop.py of the working"
    )
    git_project.assert_worktrees_removed()


def test_an_installed_copy_is_refused(git_project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    site = git_project.path.parent / f"{git_project.path.name}-venv" / "site-packages"
    site.mkdir(parents=True)
    (site / "shop.py").write_text(SHOP, encoding="utf-8")
    git_project.commit({"src/shop.py": SHOP, "tests/test_shop.py": TEST_SHOP, ".gitignore": "__pycache__/\n"})
    monkeypatch.setenv("PYTHONPATH", str(site))
    result = git_project.project.run_apart("--goref-compare=git:base", "--goref-passes=counts")
    assert f"both sides import shop as it is installed, {site / 'shop.py'}" in refusal(result)
    git_project.assert_worktrees_removed()


def test_a_revision_whose_tests_cannot_run_is_refused(shop: GitProject) -> None:
    shop.commit({"conftest.py": "import nowhere_to_be_found\n"})
    shop.project.write({"conftest.py": ""})
    assert refusal(shop.compare()).startswith(f"nothing could be measured in {head(shop)}: ")
    shop.assert_worktrees_removed()


def test_a_directory_that_the_revision_has_not_is_refused(git_project: GitProject) -> None:
    git_project.commit({"shop.py": SHOP, ".gitignore": "__pycache__/\n"})
    git_project.project.write({"back/test_a.py": TEST_SHOP.replace("import shop", "")})
    line = refusal(git_project.project.run("--rootdir=back", "back", "--goref-compare=git:base"))
    assert line == f"{head(git_project)} has no directory back"
    git_project.assert_worktrees_removed()


def test_ctrl_c_removes_the_worktree(shop: GitProject) -> None:
    shop.project.write({"test_shop.py": f"{TEST_SHOP}    raise KeyboardInterrupt\n"})
    result = shop.project.run_apart("--goref-compare=git:base", "--goref-passes=counts")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    shop.assert_worktrees_removed()


def test_the_worktree_is_there_while_tests_run_and_other_sessions_leave_it(shop: GitProject) -> None:
    test = "import pathlib, pytest\n\n@pytest.mark.profile\ndef test_sees():\n    seen()\n"
    seen = "\ndef seen():\n    assert len(list(pathlib.Path('.goref_cache/worktrees').iterdir())) == 1\n"
    shop.commit({"test_shop.py": test + "\ndef seen():\n    pass\n"})
    shop.project.write({"test_shop.py": test + seen})
    result = shop.compare("--goref-fail=calls:off", "--goref-warn=calls:off")
    result.assert_outcomes(passed=1)
    shop.assert_worktrees_removed()


def test_nothing_is_measured_where_no_test_is_executed(shop: GitProject) -> None:
    for options in (("--collect-only",), ("-k", "nothing"), ("--setup-plan",)):
        result = shop.compare(*options)
        assert "measuring" not in result.stdout.str()
    assert not (shop.path / ".goref_cache").exists()
    shop.project.write({"test_wrong.py": "import nowhere_to_be_found\n"})
    result = shop.compare()
    result.assert_outcomes(errors=1)
    assert "measuring" not in result.stdout.str()


def test_a_quiet_session_is_quiet(shop: GitProject) -> None:
    assert "measuring" not in shop.compare("-q").stdout.str()


def test_settings_of_the_session_do_not_reach_a_revision_without_any(git_project: GitProject) -> None:
    git_project.commit({"shop.py": SHOP, "test_shop.py": TEST_SHOP, ".gitignore": "*.ini\n__pycache__/\n"})
    git_project.project.write({"conftest.py": "raise SystemError('the conftest of the session')\n"})
    git_project.project.write({"conftest.py": "import shop\n"})
    git_project.compare().assert_outcomes(passed=1)
