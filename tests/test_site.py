"""The documentation site: what is public has an entry in docs/api/, and the site can be built."""

import ast
import inspect
import pathlib
import pkgutil
import re
import sys
import typing

import pytest

import mentormix_tf as mm

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTED = ("config", "mentors")  # as docs/api/index.md promises, besides the modules of `mm`
ENTRIES = [
    entry
    for page in sorted((ROOT / "docs" / "api").glob("*.md"))
    for entry in re.findall(r"^::: mentormix_tf\.(\S+)$", page.read_text(), re.MULTILINE)
]


def exported(module):
    """The names in the `__all__` of a module, or in those of its own modules if it has none."""
    path = ROOT / "mentormix_tf" / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {f"{module}.{name}" for name in ast.literal_eval(node.value)}
    inner = (f"{module}.{each.stem}" for each in path.glob("[a-z]*.py"))
    return set().union(*map(exported, inner))


def test_all_that_is_public_has_one_entry():
    names = {name for name in mm.__all__ if name not in mm._MODULES}
    places = {f"{mm._NAMES[name]}.{name}" if name in mm._NAMES else name for name in names}
    modules = [mm._MODULES[name] for name in mm.__all__ if name in mm._MODULES]
    public = places.union(*map(exported, (*modules, *DOCUMENTED)))
    assert len(public) > 80
    missing = sorted(public - set(ENTRIES))
    assert not missing, f"docs/api/ lacks {missing}"
    assert len(ENTRIES) == len(set(ENTRIES))


def own_classes(annotation, module):
    """The classes of this package that an annotation names."""
    if isinstance(annotation, str):  # a class that only type checkers import
        annotation = getattr(sys.modules[module], annotation, None)
    if inspect.isclass(annotation) and annotation.__module__.startswith("mentormix_tf."):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from own_classes(inner, module)


def test_what_entries_take_and_return_has_entries():
    for entry in ENTRIES:
        value = pkgutil.resolve_name(f"mentormix_tf.{entry}")
        members = vars(value).items() if inspect.isclass(value) else ()
        for each in (value, *(member for name, member in members if not name.startswith("_"))):
            each = getattr(each, "fget", each)  # of a property
            for annotation in getattr(each, "__annotations__", {}).values():
                for found in own_classes(annotation, value.__module__):
                    listed = any(name.endswith(f".{found.__qualname__}") for name in ENTRIES)
                    assert listed, f"{entry} names {found}, which docs/api/ lacks"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path, monkeypatch):
    build = pytest.importorskip("mkdocs.commands.build", reason="needs the extra docs")
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    build.build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    pages = "".join(page.read_text() for page in (tmp_path / "api").rglob("index.html"))
    assert not [entry for entry in ENTRIES if f'id="mentormix_tf.{entry}"' not in pages]
