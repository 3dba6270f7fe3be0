"""A run opened from a program: its results, its network, and the commands as methods."""

from collections.abc import Iterator
from typing import Any

import keras
from etils import epath

from mentormix_tf import files
from mentormix_tf.auditing import subjects
from mentormix_tf.auditing.result import Audit
from mentormix_tf.auditing.subjects import Features
from mentormix_tf.config import RunConfig
from mentormix_tf.runs import layout, saved_run
from mentormix_tf.serving import classifier, evaluation, image_files, saved_model
from mentormix_tf.serving.evaluation import Evaluated
from mentormix_tf.serving.image_files import Row

__all__ = ["Run", "open_run"]


def open_run(model_dir: epath.PathLike) -> "Run":
    """Opens a run's folder, as `python -m mentormix_tf.train` writes it.

    Args:
        model_dir: the folder, which may be remote.

    Raises:
        InputError: it is not a run's folder, or one of its files can't be read.
    """
    return Run(model_dir)


class Run:
    """A run, read from its folder. Only `evaluate` and `audit` need the data set.

    Methods take the name of the `weights` to use: `last`, those of the last step; `best`, those
    with the highest accuracy on noisy validation labels; `averaged`, their moving average; or
    `auto`, averaged if the run kept an average, else last.

    Args:
        model_dir: its folder.

    Attributes:
        path: its folder.
        config: the settings that repeat the run.
        class_names: the name of each class.
        result: the contents of result.json; empty until the run is finished.

    Raises:
        InputError: see `open_run`.
    """

    def __init__(self, model_dir: epath.PathLike):
        self._saved = saved_run.read(model_dir)
        self.path: epath.Path = self._saved.path
        self.config: RunConfig = self._saved.config
        self.class_names: list[str] = self._saved.class_names
        self.result: dict[str, Any] = self._saved.result

    def metrics(self) -> list[dict[str, str]]:
        """The rows of metrics.csv as dicts from column to text, one for each evaluation."""
        return files.read_csv(self.path / layout.METRICS)

    def network(self, weights: str = "auto") -> keras.Model:
        """The trained network.

        It maps images `[batch, height, width, channels]`, float32, in [0, 255], to logits
        `[batch, num_classes]`, float32.

        Raises:
            InputError: the run has no such weights, or they can't be read.
        """
        return saved_run.load_network(self._saved, weights).network

    def evaluate(
        self,
        split: str = "test",
        weights: str = "auto",
        true_labels: bool = False,
        batch_size: int = 100,
        output_dir: epath.PathLike | None = None,
        **data: Any,
    ) -> Evaluated:
        """Evaluates the network, as `python -m mentormix_tf.evaluate` does.

        Args:
            split: train, validation or test, or several joined by "+", as in train+test.
            weights: see `Run`.
            true_labels: whether to compare predictions with the true labels, where they are known,
                rather than with the labels that training sees.
            batch_size: images per batch.
            output_dir: folder for the results; by default, a subfolder of evaluation/ in the run's
                folder, named after weights, data and split.
            **data: fields of `DataConfig` that differ from the training data's.

        Raises:
            InputError: the weights, the data or the split don't exist or can't be read, or the
                folder can't be written or holds another evaluation.
        """
        config = evaluation.data_config(self.config.data, **data)
        return evaluation.evaluate(
            self._saved, config, split, weights, true_labels, batch_size, output_dir
        )

    def audit(self, features: Features = "auto", weights: str = "auto") -> Audit:
        """Audits the training labels, as `python -m mentormix_tf.audit` does.

        Args:
            features: see `mm.audit`. A run whose head was trained alone, on cached features, is
                judged by them, too, unless none is asked for.
            weights: see `Run`.

        Raises:
            InputError: the run's split is not there or has changed, or the network can't be read.
        """
        return subjects.of_run(self._saved, features, weights)

    def predict(self, *names: str, weights: str = "auto", top_k: int = 1) -> Iterator[Row]:
        """Classifies image files, as `python -m mentormix_tf.predict` does.

        Args:
            *names: files, folders and patterns such as `photos/*.jpg`.
            weights: see `Run`.
            top_k: how many classes to name for each image.

        Yields:
            A `Row` for each image: its classes, or the reason why it could not be classified.

        Raises:
            InputError: the run has no such weights, or they can't be read.
        """
        trained = saved_run.load_network(self._saved, weights)
        classify = classifier.of_run(self._saved, trained)
        return image_files.classify(image_files.find(names), classify, top_k)

    def export(
        self,
        export_dir: epath.PathLike | None = None,
        weights: str = "auto",
        version: int = 0,
        license: str = "",
    ) -> epath.Path:
        """Writes a SavedModel, as `python -m mentormix_tf.export` does.

        Args:
            export_dir: folder for the numbered versions; by default, export/ in the run's folder.
            weights: see `Run`.
            version: number of this version; 0 for the highest existing one plus 1.
            license: the model's license, for its card.

        Returns:
            The version's folder.

        Raises:
            InputError: the version exists, or the folder can't be written.
        """
        trained = saved_run.load_network(self._saved, weights)
        folder = export_dir or self.path / layout.EXPORTS
        return saved_model.export(self._saved, trained, folder, version, license)
