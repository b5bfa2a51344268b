"""The projects whose own tests are run: releases whose sdists hold them, pinned with their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Project:
    """A release, and what its tests need.

    Attributes:
        name: as it is known to the index.
        version: of the release.
        sha256: of its sdist.
        requirements: what its tests need beside pytest, as the release itself declares it.
        extras: of the project, which its tests need.
        arguments: for pytest, such as tests to leave out because they need the network.

    """

    name: str
    version: str
    sha256: str
    requirements: tuple[str, ...] = ()
    extras: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the project is called in tables and directories."""
        return f"{self.name}-{self.version}"

    @property
    def pinned(self) -> str:
        """The line of a requirements file that names exactly this sdist."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


PROJECTS: Final = (
    Project(
        "attrs",
        "26.1.0",
        "d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32",
        ("cloudpickle", "hypothesis", "pympler"),
    ),
    Project("click", "8.5.1", "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4"),
    Project(
        "httpx",
        "0.28.1",
        "75e98c5f16b0f35b567856f597f06ff2270a374470a5c2392242528e3e3e42fc",
        ("chardet==5.2.0", "cryptography", "trio", "trustme", "uvicorn"),
        extras="[brotli,cli,http2,socks,zstd]",
    ),
    Project(
        "itsdangerous",
        "2.2.0",
        "e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173",
        ("freezegun",),
    ),
    Project("jinja2", "3.1.6", "0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d", ("trio",)),
    Project("markupsafe", "3.0.4", "2e9ad7dd851bf45fab9f75cbff4cb493fee9979e8d8c7c9c3ee119022518edd6"),
    Project("more-itertools", "11.2.1", "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63"),
    Project(
        "werkzeug",
        "3.1.9",
        "55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060",
        ("cffi", "cryptography", "ephemeral-port-reserve", "pytest-timeout", "watchdog"),
    ),
)
"""Every project, by name."""
