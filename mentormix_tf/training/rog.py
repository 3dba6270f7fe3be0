"""Ends a run with `--inference=rog`: fits robust Gaussians to features, and measures them."""

import dataclasses
import logging
from typing import Any

from etils import epath

from mentormix_tf.data import examples
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.inference import rog
from mentormix_tf.methods.vanilla import Vanilla
from mentormix_tf.metrics.predictions import Predictions
from mentormix_tf.runs import checkpoint_files, layout, rog_file, saved_run
from mentormix_tf.training import surveys
from mentormix_tf.training.evaluation import Evaluation

__all__ = ["finish"]

_log = logging.getLogger(__name__)


def finish(path: epath.Path, data: NoisySplits) -> tuple[dict[str, Any], Predictions]:
    """Fits the heads of a run whose steps are done, and evaluates it with them.

    They are fitted to the features of the noisy training set, not augmented: for the last weights
    and, if the run has them, the averaged and the best, in a pass for each.

    Args:
        path: the run's folder, which gets rog.npz.
        data: the run's data.

    Returns:
        `(row, test)`: a row as `Evaluation.row` makes it, and the predictions of the last weights
        for the test split.

    Raises:
        InputError: a file can't be read or written.
    """
    run, data = saved_run.read(path), dataclasses.replace(data, features=None)
    shown = dict(augmentation=run.augmentation, image_shape=run.image_shape)
    training = run.config.training
    labels = examples.columns(data, "train", ["label"])["label"]
    heads = {}
    for weights in _weights(run):
        found = surveys.of_run(run, data, training.rog_layers, weights)
        heads[weights] = rog.fit(found, labels, training.rog_layers, data.kept, training.seed)
    rog_file.write(path / layout.ROG, heads)

    def evaluation(weights):
        network = saved_run.load_network(run, weights).network
        model = Vanilla(network, len(run.class_names))
        return Evaluation(model, data, training.batch_size, **shown)

    last = evaluation("last")
    row, _ = last.row()
    if "averaged" in heads:
        averaged, _ = evaluation("averaged").row()
        row |= {f"averaged_{k}": v for k, v in averaged.items() if k.startswith("test_")}
    _log.info("Classified by robust Gaussians: test accuracy %.3f", row["test_accuracy"])
    return row, last.test()


def _weights(run):
    """The weights that a run has, by the names that `load_network` takes."""
    yield "last"
    if run.config.training.ema_decay:
        yield "averaged"
    if checkpoint_files.saved(run.path / layout.CHECKPOINTS / layout.BEST):
        yield "best"
