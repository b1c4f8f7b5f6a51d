"""``ganmc fit`` keeps freed memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import ctypes, sys
from ganmc_lightning.cli.malloc import keep_freed_memory

class Statistics(ctypes.Structure):  # struct mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keep")]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Statistics
if sys.argv[1] == "keep":
    keep_freed_memory()
before = libc.mallinfo2()
address = libc.malloc(2**26)
used = libc.mallinfo2()
libc.free(address)
print(used.hblks - before.hblks, libc.mallinfo2().arena == used.arena)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
@pytest.mark.parametrize(("mode", "expected"), [("default", "1 True"), ("keep", "0 True")])
def test_large_blocks_are_not_mapped_and_not_returned(mode: str, expected: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, mode], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
