"""``python -m pytest_goref``: the command ``goref``."""

from __future__ import annotations

import sys

from pytest_goref.cli import main

if __name__ == "__main__":
    sys.exit(main())
