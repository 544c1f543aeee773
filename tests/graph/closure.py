"""Which of the project's own files a script imports, directly or through others, also inside functions."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = {"attune": ROOT / "src" / "attune", "stages": ROOT / "stages"}


def answer(stage: str, task: str) -> Path:
    """The file in which `task` answers `stage`; the registry imports it by name, so that no import statement tells."""
    return _PACKAGES["attune"] / "tasks" / task / stage / "answer.py"


def closure(script: Path) -> set[Path]:
    """Every project file that running `script` may import, itself and package `__init__` files among them."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += direct_imports(file)
    return seen


def direct_imports(file: Path) -> set[Path]:
    """The project files that the import statements of `file` name."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {path for name in names for path in _files(name)}


def _files(module: str) -> set[Path]:
    parts = module.split(".")
    if parts[0] not in _PACKAGES:
        return set()
    base = _PACKAGES[parts[0]]
    found = {base / "__init__.py"}
    for depth in range(1, len(parts)):
        place = base.joinpath(*parts[1 : depth + 1])
        found |= {place / "__init__.py", place.with_suffix(".py")}
    return {path for path in found if path.is_file()}
