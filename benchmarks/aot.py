r"""Compiles train steps for a TPU, and tabulates their operations and memory.

    python -m benchmarks.aot --methods=mentormix --networks=small_cnn,resnet32 --images=32x3 \
      --batch_sizes=128,1024
    python -m benchmarks.aot        # only rewrites the table

Each step's aot.json goes to docs/results/aot/v5e/. A step whose file exists is not compiled again,
so this can be interrupted at any time. v5e.csv and v5e.md, beside that folder, are made from all
files.
"""

import csv
import dataclasses
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results" / "aot"
COLUMNS = {  # columns of the CSV file, and their values from aot.json
    "method": lambda r: r["method"],
    "network": lambda r: r["network"],
    "image": lambda r: f"{r['image_size']}x{r['image_size']}x{r['channels']}",
    "batch_size": lambda r: r["batch_size"],
    "precision": lambda r: r["precision"],
    "gflop": lambda r: r["flops"] and round(r["flops"] / 1e9, 2),
    "gb_accessed": lambda r: r["bytes_accessed"] and round(r["bytes_accessed"] / 1e9, 3),
    "fits": lambda r: r["fits"],
    **{
        f"{name}_mib": lambda r, name=name: (
            round(r["memory"][name] / 2**20, 1) if name in r["memory"] else None
        )
        for name in ("arguments", "outputs", "in_place", "temporaries", "code", "total")
    },
    "compile_seconds": lambda r: round(r["seconds"], 1),
    **{
        name: lambda r, name=name: r["versions"][name]
        for name in ("tensorflow", "keras", "jax", "libtpu")
    },
}


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """The steps to compile: each method on each network with each image and each batch size.

    Args:
        methods: methods, by name.
        networks: networks, by name.
        images: image sizes and channels, as in 8x1 for gray images of 8 x 8 pixels.
        batch_sizes: examples on one core.
        topology: chip and shape of the TPU.
        precision: float32 or bfloat16.
    """

    methods: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    batch_sizes: tuple[str, ...] = ()
    topology: str = "v5e:2x2"
    precision: str = "float32"


def main(given: Given) -> None:
    """Compiles the steps that have no file yet, then writes the table of all."""
    config = given.config(TableConfig)
    chip = config.topology.split(":")[0]
    folder = RESULTS / chip
    folder.mkdir(parents=True, exist_ok=True)
    for step in itertools.product(
        config.methods, config.networks, config.images, config.batch_sizes
    ):
        compile_one(folder, config, *step)
    write_table(folder)


def compile_one(folder, config, method, network, image, batch_size):
    """Compiles one step in its own process, and writes its aot.json."""
    file = folder / f"{method}-{network}-{image}-{batch_size}-{config.precision}.json"
    if file.exists():
        return
    size, channels = image.split("x")
    print(f"{file.stem} ...", flush=True)
    with tempfile.TemporaryDirectory() as output:
        flags = {
            "method": method,
            "network": network,
            "image_size": size,
            "channels": channels,
            "batch_size": batch_size,
            "precision": config.precision,
            "topology": config.topology,
            "output": output,
        }
        aot = [sys.executable, "-m", "mentormix_tf.aot_compile"]
        done = subprocess.run(
            [*aot, *(f"--{name}={value}" for name, value in flags.items())],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise InputError(f"{file.stem} failed: {done.stderr.strip().splitlines()[-1]}")
        file.write_text((pathlib.Path(output) / "aot.json").read_text())


def write_table(folder):
    """Writes a CSV file and a Markdown table of all steps in a folder, and prints the table."""
    results = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    results.sort(key=lambda r: (r["method"], r["network"], r["image_size"], r["batch_size"]))
    rows = [{name: value(result) for name, value in COLUMNS.items()} for result in results]
    with open(f"{folder}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "| method | network | image | batch | GFLOP | memory, MiB | fits | compiled in |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        cells = [row["method"], f"`{row['network']}`", row["image"], f"{row['batch_size']:,}"]
        cells.append("" if row["gflop"] is None else f"{row['gflop']:,.2f}")
        cells.append("" if row["total_mib"] is None else f"{row['total_mib']:,.0f}")
        cells += ["yes" if row["fits"] else "no", f"{row['compile_seconds']:.0f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    table = "\n".join(lines)
    pathlib.Path(f"{folder}.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    sections = [Section("The steps", TableConfig)]
    sys.exit(
        command.run(
            main,
            "Compiles train steps for a TPU, and tabulates their costs.",
            sections,
        )
    )
