"""The docs' tables of data sets, noises, networks and methods, generated from their registries.

A table is in a Markdown file between the lines `<!-- registry: NAME -->` and `<!-- end -->`, where
NAME is one of `TABLES`.

    python -m tests.support.doc_tables            # names the files that differ from the registries
    python -m tests.support.doc_tables --write    # rewrites them
"""

import argparse
import inspect
import pathlib
import re

from mentormix_tf import networks
from mentormix_tf.data import noise, sources

DOCS = pathlib.Path(__file__).parents[2] / "docs"
MARKED = re.compile(r"(<!-- registry: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def datasets() -> str:
    rows = [
        [f"`{name}`", entry.description, entry.needs] for name, entry in sources.by_name().items()
    ]
    return _table(["`--dataset`", "images", "what you need"], rows)


def noises() -> str:
    entries = sources.by_name()
    without = [f"`{name}`" for name, entry in entries.items() if not entry.synthetic]
    kinds = {n: (kind, f"all but {', '.join(without)}") for n, kind in noise.NOISES.items()}
    for entry in entries.values():
        for name, kind in entry.own_noises.items():
            having = [f"`{d}`" for d, other in entries.items() if name in other.own_noises]
            kinds[name] = kind, ", ".join(having)
    rows = [
        [f"`{name}`", kind.description, "yes" if kind.takes_level else "", having]
        for name, (kind, having) in kinds.items()
    ]
    return _table(["`--noise`", "labels", "`--noise_level`", "data sets"], rows)


def own_networks() -> str:
    rows = [
        [f"`{name}`", f"{entry.parameters / 1e6:.2f} M", f"{entry.giga_macs:.2f}", entry.source]
        for name, entry in networks.NETWORKS.items()
    ]
    return _table(["name", "parameters", "GMACs", "source"], rows)


def all_methods() -> str:
    """The first sentence of each method's docstring."""
    from mentormix_tf import methods  # needs TensorFlow, which the others do not

    documented = {name: inspect.getdoc(methods.get(name)) for name in methods.METHODS}
    rows = [[f"`{name}`", text.splitlines()[0]] for name, text in documented.items()]
    return _table(["name", "method"], rows)


TABLES = {
    "datasets": datasets,
    "noises": noises,
    "networks": own_networks,
    "methods": all_methods,
}


def updated(text: str) -> str:
    """Returns a Markdown text with its tables generated anew from the registries."""
    return MARKED.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def outdated() -> dict[pathlib.Path, str]:
    """Returns the right text of each file that differs from the registries."""
    wanted = {path: updated(path.read_text()) for path in sorted(DOCS.glob("*.md"))}
    return {path: text for path, text in wanted.items() if text != path.read_text()}


def _table(heads: list[str], rows: list[list[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |\n" for cells in (heads, *rows))
    return "".join([first, "|---" * len(heads), "|\n", *others])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite the tables")
    write = parser.parse_args().write
    for path, text in outdated().items():
        print(f"{path.name} {'was rewritten' if write else 'differs from the registries'}")
        if write:
            path.write_text(text)


if __name__ == "__main__":
    main()
