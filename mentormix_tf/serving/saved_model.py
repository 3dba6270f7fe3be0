"""Exports a run as a SavedModel, which needs only TensorFlow or TensorFlow Serving."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.errors import InputError
from mentormix_tf.runs import flags_txt, layout
from mentormix_tf.runs.saved_run import SavedRun, TrainedNetwork
from mentormix_tf.serving import classifier, model_card, warmup

__all__ = ["ARRAYS", "CLASS_NAMES", "ENCODED", "WARMUP_BATCH_SIZES", "Loaded", "export", "load"]

ENCODED, ARRAYS = "serving_default", "arrays"  # the signatures
CLASS_NAMES = "class_names.txt"
WARMUP_BATCH_SIZES = (1, 8)


def export(
    run: SavedRun,
    trained: TrainedNetwork,
    export_dir: epath.PathLike | None = None,
    version: int = 0,
    license: str = "",
) -> epath.Path:
    """Writes a run's network, with decoding of images and names of classes, as a SavedModel.

    It is written whole or not at all.

    Args:
        run: the run.
        trained: its network.
        export_dir: folder for the numbered versions of the model, created if missing; by default,
            export/ in the run's folder.
        version: number of this version; 0 for the highest existing one plus 1.
        license: the model's license, for its card.

    Returns:
        The version's folder. It holds the SavedModel; class_names.txt, model_card.md and the run's
        flags.txt in assets/; and warm-up requests in assets.extra/.

    Raises:
        InputError: the version exists, or the folder can't be written.
    """
    export_dir = files.expanded(export_dir or run.path / layout.EXPORTS, "export_dir")
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with files.lock(export_dir):
            for leftover in export_dir.glob("partial-*"):  # of an export that was killed
                leftover.rmtree()
            path = export_dir / str(_version(export_dir, version))
            with files.new_folder(path) as folder:
                _write(run, trained, license, folder)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"export_dir={export_dir} can't be written: {files.reason(error)}."
        ) from error
    return path


def _version(folder, chosen):
    names = [child.name for child in folder.iterdir()]
    taken = [int(name) for name in names if re.fullmatch("[0-9]{1,19}", name)]
    version = chosen or max(taken, default=0) + 1
    if not 0 < version < 2**63:  # TensorFlow Serving's numbers of versions
        raise InputError(f"version={version} in {folder} must lie in [1, 2**63): choose another.")
    if version in taken:
        raise InputError(
            f"version={version} is in {folder} already: choose another number, or omit --version "
            "to get the next one."
        )
    return version


def _write(run, trained, license, path):
    classify = classifier.of_run(run, trained, run.config.data.max_image_pixels)
    # Not the Keras network itself: loading must need only TensorFlow's variables and functions.
    module = tf.Module()
    variables = [variable.value for variable in trained.network.variables]
    module.weights = variables  # pyright: ignore[reportAttributeAccessIssue]
    signatures = {ENCODED: classify.classify_encoded, ARRAYS: classify.classify_arrays}
    tf.saved_model.save(module, str(path), signatures)
    assets = path / "assets"
    assets.mkdir(exist_ok=True)
    (assets / CLASS_NAMES).write_text("".join(f"{name}\n" for name in run.class_names))
    (assets / layout.FLAGS).write_text((run.path / layout.FLAGS).read_text())
    (assets / model_card.FILE).write_text(model_card.write(run, trained, license))
    warmup.write(path, _warmup_requests(run.image_shape))


def _warmup_requests(image_shape):
    for batch_size in WARMUP_BATCH_SIZES:
        arrays = np.zeros([batch_size, *image_shape], np.uint8)
        yield ENCODED, {"images": [tf.io.encode_png(array).numpy() for array in arrays]}
        yield ARRAYS, {"images": arrays}


@dataclasses.dataclass(frozen=True)
class Loaded:
    """An exported SavedModel.

    Attributes:
        path: the version's folder, as the user named it.
        classify_encoded: maps encoded images `[batch]`, string, to the dict of `Classifier`.
        class_names: the names of the classes, in the order of the scores.
        data: the data that it was trained on.
    """

    path: str
    classify_encoded: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    class_names: Sequence[str]
    data: DataConfig


def load(path: epath.PathLike) -> Loaded:
    """Loads a SavedModel that `export` wrote.

    Args:
        path: a version's folder.

    Raises:
        InputError: the folder does not hold such a SavedModel.
    """
    folder = files.expanded(path, "saved_model")
    if not (folder / "saved_model.pb").exists():
        versions = sorted(child.parent.name for child in folder.glob("*/saved_model.pb"))
        hint = f": name a version in it, {', '.join(versions)}" if versions else ""
        raise InputError(f"saved_model={path} holds no saved_model.pb{hint}.")
    try:
        text = (folder / "assets" / CLASS_NAMES).read_text()
        class_names = text.removesuffix("\n").split("\n")
        loaded = tf.saved_model.load(str(folder))
        classify = loaded.signatures[ENCODED]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"saved_model={path} can't be read as a model that mentormix_tf exported: {error}"
        ) from error
    data = flags_txt.read(folder / "assets" / layout.FLAGS).data
    # The default argument keeps the loaded object alive, and with it its variables.
    return Loaded(str(path), lambda images, _=loaded: classify(images=images), class_names, data)
