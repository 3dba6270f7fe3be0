"""Evaluating a network on a test split, and writing the results to TensorBoard."""

import itertools
import tempfile

from etils import epath

from benchmarks import harness, steps
from benchmarks.harness import Measurement, Size
from mentormix_tf.data import augment, splits
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.tensorboard import TensorBoard

__all__ = ["measure"]


def measure(size: Size) -> list[Measurement]:
    """Measures both beside a training step, with small_cnn on CIFAR-10."""
    data = splits.load_split("digits" if size.is_quick else "cifar10")
    model = steps.build("mentormix", "small_cnn", data.image_shape)
    step = steps.stepper(model, steps.columns(128, data.image_shape))
    shown = dict(augmentation=augment.AUGMENTATIONS["none"], image_shape=data.image_shape)
    evaluation = Evaluation(model, data, 128, **shown)
    row, sample = evaluation.row()
    numbers = itertools.count(1)
    with tempfile.TemporaryDirectory() as folder:
        board = TensorBoard(epath.Path(folder))

        def report():
            number = next(numbers)
            board.write_row({"step": number, **row})
            board.write_losses(number, sample)

        made = {"step": step, "test split": evaluation.test, "TensorBoard": report}
        return harness.summary(harness.alternate(made, max(1, size.repetitions // 4)))
