"""Each floor of docs/architecture.md imports only what stands on it or below it."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "mentormix_tf"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
TABLE = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
FLOORS = [re.findall(r"`([^`]+)`", names) for names in TABLE]  # the highest first


def floor(module):
    """The row of the table that a file of the package belongs to, -1 if none has it."""
    for row, names in enumerate(FLOORS):
        rooms = tuple(name for name in names if name.endswith("/"))
        if module in names or module.startswith(rooms):
            return row
    return -1


def file_of(dotted):
    """The file of the package that has a dotted name, None if there is none."""
    path = dotted.replace(".", "/").removeprefix("mentormix_tf").lstrip("/")
    names = (f"{path}.py", f"{path}/__init__.py".lstrip("/"))
    return next((name for name in names if name in MODULES), None)


def imports(module):
    """The files of the package that one of them imports, at its top or inside functions."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            parent = getattr(node, "module", "")
            for alias in node.names:
                dotted = f"{parent}.{alias.name}".lstrip(".")
                if dotted.split(".")[0] == "mentormix_tf":
                    yield file_of(dotted) or file_of(parent)


def test_every_module_has_a_floor():
    without = [module for module in MODULES if floor(module) < 0]
    assert not without, f"no row of the floors in docs/architecture.md has {', '.join(without)}"
    gone = [name for names in FLOORS for name in names if not (PACKAGE / name).exists()]
    assert not gone, f"the floors in docs/architecture.md have {', '.join(gone)}, which is gone"


def test_imports_go_down():
    upward = [
        f"{module} imports {imported}, which stands above it"
        for module in MODULES
        for imported in imports(module)
        if floor(imported) < floor(module)
    ]
    assert not upward, "\n".join(upward)
