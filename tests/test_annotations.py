"""All that is public says its types, and is in its module's `__all__`."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "mentormix_tf"


def public_functions(tree):
    """The public functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (n for n in public_functions(node) if not n.name.startswith("_"))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def unannotated(function):
    """What has no type: names of arguments, and "return"."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += filter(None, [arguments.vararg, arguments.kwarg])
    missing = [a.arg for a in every if a.annotation is None and a.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


def names(tree):
    """The public names that a module defines, other than by importing them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        yield from (n.id for each in targets if each for n in ast.walk(each) if hasattr(n, "id"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_all_has_what_is_public(path):
    tree = ast.parse(path.read_text())
    public = {name for name in names(tree) if not name.startswith("_")}
    assigned = [node for node in tree.body if ast.unparse(node).startswith("__all__ = ")]
    listed = [name for node in assigned for name in ast.literal_eval(node.value)]
    assert public <= set(listed), f"{path} lacks {public - set(listed)} in __all__"
    assert len(listed) == len(set(listed))


def test_public_functions_are_annotated():
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{function.lineno} {function.name}: {', '.join(names)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for function in public_functions(ast.parse(path.read_text()))
        if (names := unannotated(function))
    ]
    assert not found, "\n".join(found)
