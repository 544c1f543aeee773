"""One thin script per node of the graph. Importing this package puts the `src` beside it first on the path, so that
an experiment in a copied folder runs the copied code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from attune.commandline import settle

settle()
