"""Private parts of libraries are used in one file for each library, and nowhere else."""

import ast
import pathlib

import keras
import tensorflow_datasets as tfds

PACKAGE = pathlib.Path(__file__).parent.parent / "mentormix_tf"
# The only files that may, and the library whose private parts each uses.
DOORS = {
    "distribution/keras_internals.py": "Keras",
    "data/writer.py": "TensorFlow Datasets",
    "training/tpu_compiler.py": "JAX",
}


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


# What a class of ours inherits, and so must neither use nor override.
INHERITED = {
    name
    for base in (
        keras.Model(),
        keras.metrics.Mean(),
        keras.optimizers.SGD(),
        keras.optimizers.schedules.LearningRateSchedule(),
        keras.callbacks.Callback(),
        tfds.core.GeneratorBasedBuilder,
    )
    for name in dir(base)
    if is_private(name)
}


def private_uses(tree):
    """Yields the line and the text of each use of what another module keeps private."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{name}" for name in modules]
            for module in modules:
                parts = module.split(".")
                if any(map(is_private, parts)) or parts[:2] in (
                    ["tensorflow", "python"],
                    ["keras", "src"],
                ):
                    yield node.lineno, f"import of {module}"
        elif isinstance(node, ast.ClassDef) and node.bases:
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef) and part.name in INHERITED:
                    yield part.lineno, f"def {part.name}"
                elif isinstance(part, ast.Attribute) and part.attr in INHERITED:
                    yield part.lineno, ast.unparse(part)
        elif isinstance(node, ast.Constant) and node.value == "seed_generator_state":
            yield node.lineno, "the name of a Keras variable"


def all_uses():
    """Dict from file to its private uses, as texts."""
    uses = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found = sorted(set(private_uses(ast.parse(path.read_text()))))
        name = path.relative_to(PACKAGE).as_posix()
        uses[name] = [f"mentormix_tf/{name}:{line}: {text}" for line, text in found]
    return uses


def test_private_parts_are_used_behind_the_doors_alone():
    strays = [use for name, uses in all_uses().items() if name not in DOORS for use in uses]
    assert not strays, "\n".join([f"only {', '.join(DOORS)} may use private parts:", *strays])


def test_every_door_is_needed():
    uses = all_uses()
    for door, library in DOORS.items():
        assert uses[door], f"{door} uses nothing private of {library}: take it out of DOORS"
