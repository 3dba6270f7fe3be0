"""python -m mentormix_tf.doctor: reads every record of a prepared split and says what is wrong."""

import json
import sys

import tensorflow_datasets as tfds

from mentormix_tf import command
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits, verify
from mentormix_tf.data.writer import MANIFEST
from mentormix_tf.errors import InputError


def main():
    """Examines the split that the flags name; exit status 1 if anything is wrong."""
    config = splits.resolve(command.read_config(DataConfig))
    path = splits.folder(config)
    if not path.exists():
        raise InputError(f"{path} does not exist: make it with python -m mentormix_tf.prepare.")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        builder = tfds.builder_from_directory(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}. Delete it, prepare it again.") from error
    found = verify.examine(builder, manifest)
    print(_report(path, manifest, builder.info.features["label"].names, found))
    if found.problems:
        sys.exit(1)


def _report(path, manifest, class_names, found):
    rate, level = found.realized_noise_rate, manifest["noise_level"]
    lines = [
        f"{path}",
        f"  noise     {manifest['noise']}, level {'none' if level is None else f'{level:.4f}'}, "
        f"realised {'unknown' if rate is None else f'{rate:.4f}'}",
        f"  sha256    {found.sha256}",
    ]
    for split, histogram in found.histograms.items():
        fewest, most = histogram.argmin(), histogram.argmax()
        lines.append(
            f"  {split:<10}{histogram.sum():,} examples, from {histogram[fewest]:,} "
            f"({class_names[fewest]}) to {histogram[most]:,} ({class_names[most]}) a class"
        )
        if len(histogram) <= 20:
            lines += [
                f"    {name:<20}{count:>8,}  {'#' * round(40 * count / max(histogram[most], 1))}"
                for name, count in zip(class_names, histogram, strict=True)
            ]
    if not found.problems:
        return "\n".join([*lines, "Nothing is wrong."])
    lines.append(f"{len(found.problems)} problems; delete the folder and prepare it again:")
    return "\n".join([*lines, *(f"  {problem}" for problem in found.problems)])


command.define_config("The noisy split", DataConfig)

if __name__ == "__main__":
    command.run(main, "Reads every record of a prepared split and says what is wrong with it.")
