"""Memory that the system hands out anew: an allocator may have kept pages that were touched long ago."""

from __future__ import annotations

import mmap
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def fresh_pages(size_bytes: int) -> Iterator[None]:
    """Have ``size_bytes`` more in RAM for the time of the block."""
    with mmap.mmap(-1, size_bytes) as pages:
        for start in range(0, size_bytes, mmap.PAGESIZE):
            pages[start] = 1
        yield
