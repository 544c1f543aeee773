"""Commands in a clone of the project, as its user would give them, with a cache of its own."""

import os
import subprocess
import sys
from pathlib import Path


def call(clone: Path, *command: str) -> None:
    """Runs a command of the clone's own code; where it fails, ends this process with what it said."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
        "ATTUNE_CACHE": str(clone.parent / "cache"),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
