"""Environment of torchdistill: its own packages, and PyTorch of the current environment."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

VERSION = "1.1.5"


def create(folder: Path) -> str | None:
    """Create the environment and return its interpreter; print a line and return None if it cannot be installed."""
    environment = folder / "torchdistill"
    python = environment / "bin" / "python"
    try:
        _run("uv", "venv", "--clear", "--python", sys.executable, str(environment))
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = environment / "lib" / version / "site-packages" / "base.pth"
        packages.write_text(sysconfig.get_path("purelib") + "\n")  # the same PyTorch for both
        _run("uv", "pip", "install", "--python", str(python), "--no-deps", f"torchdistill=={VERSION}")
        _run(str(python), "-c", "import torchdistill.core.distillation")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"torchdistill is not measured: {str(getattr(error, 'stderr', '') or error).strip().splitlines()[-1]}")
        return None
    return str(python)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
