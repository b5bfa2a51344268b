"""How the engine in C is built; everything else stands in pyproject.toml.

Without a C compiler it is left out, and the engine in Python serves. ``GOREF_ABI3=1`` builds it for this and
every later version of CPython, which makes a disabled ``with`` a sixth slower.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from setuptools import Extension, setup

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ABI3 = bool(os.environ.get("GOREF_ABI3")) and sys.version_info >= (3, 12) and not FREE_THREADED

SPEED = Extension(
    "pytest_goref.tracker._speed",
    ["pytest_goref/tracker/_speed.c"],
    define_macros=[("GOREF_ABI3", "1")] if ABI3 else [],
    extra_compile_args=[] if sys.platform == "win32" else ["-std=c11"],
    libraries=["dl"] if sys.platform.startswith("linux") else [],  # of its own before glibc 2.34
    optional=True,
    py_limited_api=ABI3,
)

setup(
    # Its figures are exact only where the interpreter has a global lock: others have the engine in Python.
    ext_modules=[] if FREE_THREADED or sys.implementation.name != "cpython" else [SPEED],
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if ABI3 else {},
)
