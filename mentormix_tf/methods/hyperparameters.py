"""The hyperparameters of methods: the keyword-only arguments of their constructors.

They are read from the source of a method's file, not from its class, so that a command's --help and
a run's flags.txt do not need TensorFlow, which takes seconds to import.
"""

import ast
import builtins
import functools
import inspect
import pathlib
import typing
from typing import Any

from mentormix_tf.config import choices, codec
from mentormix_tf.config.codec import Field

__all__ = ["FOLDER", "declared", "names"]

FOLDER = pathlib.Path(__file__).parent


@functools.cache
def declared(module: str, class_name: str) -> tuple[Field, ...]:
    """Reads the hyperparameters of a method.

    Args:
        module: name of the file in this folder, without `.py`.
        class_name: name of the method's class. Annotations of hyperparameters must be built-in
            types, `Literal`s, names that the file assigns to `Literal`s, or names from
            `config.choices`; their defaults must be constants.

    Returns:
        Name, type, default and help text of each; empty if the class has no constructor.
    """
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    known: dict[str, Any] = {**vars(builtins), **vars(typing), **vars(choices)}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if ast.unparse(node.value).startswith("Literal["):
            known[node.targets[0].id] = eval(ast.unparse(node.value), known)
    [found] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name]
    helps = codec.argument_helps(ast.get_docstring(found) or "")
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return tuple(_field(arg, default, known, helps) for arg, default in pairs)
    return ()


def names(method: type) -> list[str]:
    """Returns the names of a method's hyperparameters, wherever its class is defined.

    Args:
        method: a subclass of `NoisyLabelModel`.
    """
    parameters = inspect.signature(method.__init__).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def _field(argument, default, known, helps):
    kind = eval(ast.unparse(argument.annotation), known)
    return Field(argument.arg, kind, ast.literal_eval(default), helps[argument.arg])
