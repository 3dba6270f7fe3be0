"""The precision and recall of INCV's selection after each iteration, from a run's rounds.

python -m mentormix_tf.train --method=vanilla --rounds=incv --model_dir=runs/incv
python -m experiments.incv runs/incv docs/results/digits/incv_selection.csv
"""

import sys

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.data import examples, splits
from mentormix_tf.rounds import incv
from mentormix_tf.runs import flags_txt, layout


def main(model_dir: str, path: str) -> None:
    """Writes a row for each iteration whose rounds are done."""
    rounds = epath.Path(model_dir) / layout.ROUNDS
    config = flags_txt.read(rounds / layout.FLAGS)
    data, training = splits.prepare(config.data), config.training
    columns = examples.columns(data, "train", ["label", "is_clean"])

    def opinion(name, chosen):
        with np.load(rounds / f"{name}.npz") as stored:
            return incv.Opinion(stored["predicted"], stored["losses"])

    rows = []
    for iterations in range(1, training.incv_iterations + 1):
        if not (rounds / f"{iterations}b.npz").exists():
            break
        found = incv.select(
            opinion,
            columns["label"],
            len(data.class_names),
            data.kept,
            iterations=iterations,
            noise=training.incv_noise,
            seed=training.seed,
        )
        facts = incv.facts(found, columns["is_clean"])
        rows.append({"seed": training.seed, "iterations": iterations, **facts})
    files.write_csv(path, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
