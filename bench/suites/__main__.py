"""Runs the own tests of released projects with and without the plugin: see ``comparing.py``."""

import sys

from comparing import main

if __name__ == "__main__":
    sys.exit(main())
