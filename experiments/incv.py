"""The precision and recall of INCV's selection after each iteration, from a run's rounds.

python -m mentormix_tf.train --method=vanilla --rounds=incv --model_dir=runs/incv
python -m experiments.incv runs/incv docs/results/digits/incv_selection.csv
"""

import sys

from etils import epath

from mentormix_tf import files
from mentormix_tf.data import examples, splits
from mentormix_tf.rounds import incv, opinion
from mentormix_tf.runs import flags_txt, layout


def main(model_dir: str, path: str) -> None:
    """Writes a row for each iteration whose rounds are done."""
    rounds = epath.Path(model_dir) / layout.ROUNDS
    config = flags_txt.read(rounds / layout.FLAGS)
    data, settings = splits.prepare(config.data), config.rounds
    columns = examples.columns(data, "train", ["label", "is_clean"])

    def read(name, chosen):
        path, labels = rounds / f"{name}.npz", columns["label"]
        return opinion.read(path, len(labels), data.manifest["split_sha256"])[0]

    rows = []
    for iterations in range(1, settings.incv_iterations + 1):
        if not (rounds / f"{iterations}b.npz").exists():
            break
        found = incv.select(
            read,
            columns["label"],
            len(data.class_names),
            data.kept,
            iterations=iterations,
            noise=settings.incv_noise,
            seed=config.training.seed,
        )
        is_right = columns["is_clean"] == 1
        rows.append(
            {
                "seed": config.training.seed,
                "iterations": iterations,
                "estimated_noise_rate": found.noise_rate,
                "selected_examples": int(found.chosen.sum()),
                "selection_precision": float(is_right[found.chosen].mean()),
                "selection_recall": float(found.chosen[is_right].mean()),
            }
        )
    files.write_csv(path, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
