"""Beside pytest-django and pytest-mock, every execution begins with its own rows and its own mocks."""

from __future__ import annotations

from typing import Final

import pytest
from plugin_project import COUNTS, Project, closing_line

from pytest_goref.metrics import REFS
from pytest_goref.model import Mode

pytest_plugins = ("plugin_project",)

_DJANGO: Final = {
    "shop/__init__.py": "",
    "shop/settings.py": """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "secret"
STATIC_URL = "static/"
USE_TZ = True
""",
    "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
from shop.models import User

urlpatterns = [path("users", lambda request: HttpResponse(str(User.objects.count())))]
""",
    "shop/models.py": """
from django.db import models

class User(models.Model):
    name = models.CharField(max_length=20, unique=True)

    class Meta:
        app_label = "shop"
""",
    "conftest.py": """
import pytest
import pytest_goref

def _count(execute, sql, params, many, context):
    pytest_goref.ref(f"db.{sql.split()[0].lower()}").deref()
    return execute(sql, params, many, context)

@pytest.fixture(autouse=True)
def counted(request):
    if "django_db" not in request.keywords:
        yield
        return
    from django.db import connection
    request.getfixturevalue("transactional_db" if "commits" in request.node.name else "db")
    with connection.execute_wrapper(_count):
        yield
""",
    "test_shop.py": """
import urllib.request
import pytest
from shop.models import User

pytestmark = pytest.mark.profile

@pytest.mark.django_db
def test_inserts():
    assert User.objects.count() == 0
    User.objects.create(name="ann")
    assert [user.name for user in User.objects.all()] == ["ann"]

@pytest.mark.django_db(transaction=True)
def test_commits():
    assert User.objects.count() == 0
    User.objects.create(name="ann")

@pytest.mark.django_db
def test_numbers_queries(django_assert_num_queries):
    with django_assert_num_queries(2):
        User.objects.count()
        User.objects.first()

@pytest.mark.django_db
def test_client(client):
    User.objects.create(name="bob")
    assert client.get("/users").content == b"1"

def test_mail(mailoutbox, settings):
    from django.core import mail
    assert mailoutbox == [] and settings.DEBUG is False
    settings.DEBUG = True
    mail.send_mail("subject", "body", "from@example.com", ["to@example.com"])
    assert len(mailoutbox) == 1

@pytest.mark.filterwarnings("ignore")
def test_served(live_server):
    assert urllib.request.urlopen(f"{live_server.url}/users").read() == b"0"
""",
}
_ARGS: Final = ("-p", "django", "--ds=shop.settings")


def test_rows_of_an_execution_are_rolled_back(project: Project) -> None:
    project.write(_DJANGO)
    plain = project.run_apart(*_ARGS)
    saved = project.run_apart(*_ARGS, "--goref-save=main", COUNTS, "-n0")
    records = {key.name: ended.record for key, ended in project.last_results().items() if ended.record}
    compared = project.run_apart(*_ARGS, "--goref-compare=main", COUNTS, "-p", "no:xdist")

    plain.assert_outcomes(passed=6)
    saved.assert_outcomes(passed=6)
    compared.assert_outcomes(passed=6)
    assert {name: record.problems for name, record in records.items()} == dict.fromkeys(records, ())
    assert {record.mode for record in records.values()} == {Mode.WARM}
    assert records["test_inserts"].measurements[REFS] == {"db.select": (2,), "db.insert": (1,)}
    assert records["test_numbers_queries"].measurements[REFS] == {"db.select": (2,)}
    assert closing_line(compared).endswith("; 0 regressed, 0 improved")


_MOCKED: Final = """
import os
import pytest

@pytest.fixture
def listdir(mocker):
    return mocker.patch("os.listdir", return_value=["mocked"])

def test_mock(listdir):
    assert listdir.call_count == 0
    assert os.listdir() == ["mocked"]
    listdir.assert_called_once_with()

def test_spy(mocker):
    spy = mocker.spy(os.path, "basename")
    assert os.path.basename("a/b") == "b"
    assert spy.call_count == 1 and spy.spy_return == "b"

def test_stub(mocker):
    stub = mocker.stub()
    stub(1)
    stub.assert_called_once_with(1)

@pytest.fixture(scope="module")
def wide(module_mocker):
    return module_mocker.patch("os.getlogin", return_value="ann")

def test_wide(wide):
    wide.reset_mock()
    assert os.getlogin() == "ann"
    assert wide.call_count == 1

def test_still_wide():
    assert os.getlogin() == "ann"
"""


def test_mocks_of_an_execution_count_its_calls(project: Project) -> None:
    project.write({"test_it.py": _MOCKED})
    result = project.run("-p", "pytest_mock", "--goref", "--goref-all", COUNTS)
    result.assert_outcomes(passed=5)
    records = [ended.record for ended in project.last_results().values() if ended.record]
    assert [record.mode for record in records] == [Mode.WARM] * 5


@pytest.mark.parametrize("failing", ["test_mock", "test_wide"])
def test_mocks_are_taken_away_after_the_last_execution(project: Project, failing: str) -> None:
    project.write(
        {
            "test_it.py": _MOCKED,
            "test_more.py": "import os\n\ndef test_it():\n    assert '_mock' not in str(type(os.listdir))\n",
        }
    )
    result = project.run(
        "-p", "pytest_mock", "--goref", "--goref-all", COUNTS, "-k", f"{failing} or test_more"
    )
    assert result.ret == 0
