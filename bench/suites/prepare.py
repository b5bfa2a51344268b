"""Making ready what a suite needs: its sdist, and an environment with the project and this checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from projects import Project

CHECKOUT: Final = Path(__file__).resolve().parents[2]
_SCRIPTS: Final = "Scripts" if sys.platform == "win32" else "bin"


@dataclass(frozen=True, slots=True)
class Suite:
    """A project whose tests can be run.

    Attributes:
        project: which one.
        source: the directory of its unpacked sdist.
        python: the interpreter of its environment.

    """

    project: Project
    source: Path
    python: Path


def prepare(project: Project, work: Path) -> Suite:
    """Return a suite, made where it is not there as it has to be.

    Args:
        project: which one.
        work: the directory that keeps sdists and environments.

    """
    home = work / project.title
    environment = home / "venv"
    suite = Suite(project, home / "source", environment / _SCRIPTS / "python")
    made = home / "made.txt"
    wanted = f"{project!r}\n{sys.version}\n{CHECKOUT}\n"
    if made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return suite
    home.mkdir(parents=True, exist_ok=True)
    made.unlink(missing_ok=True)
    _unpack(_download(project, home), suite.source)
    venv.create(environment, with_pip=True, clear=True)
    _pip(suite.python, "install", f"-e{CHECKOUT}", *project.requirements, f"{suite.source}{project.extras}")
    made.write_text(wanted, encoding="utf-8")
    return suite


def _download(project: Project, home: Path) -> Path:
    """Return the sdist of ``project``, whose hash pip has checked."""
    requirements = home / "sdist.txt"
    requirements.write_text(project.pinned + "\n", encoding="utf-8")
    python = Path(sys.executable)
    only = f"--no-binary={project.name}"
    _pip(python, "download", "--no-deps", "--require-hashes", only, f"--dest={home}", f"-r{requirements}")
    (sdist,) = home.glob("*.tar.gz")
    return sdist


def _unpack(sdist: Path, source: Path) -> None:
    """Unpack ``sdist`` so that its one directory becomes ``source``."""
    with tarfile.open(sdist) as archive:
        archive.extractall(source.parent, filter="data")
        top = archive.getnames()[0].partition("/")[0]
    (source.parent / top).rename(source)


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"pip {' '.join(arguments)} failed:\n{ended.stdout}{ended.stderr}")
