"""All that is public says its types."""

import ast
import pathlib

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


def test_public_functions_are_annotated():
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{function.lineno} {function.name}: {', '.join(names)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for function in public_functions(ast.parse(path.read_text()))
        if (names := unannotated(function))
    ]
    assert not found, "\n".join(found)
