"""Exporting a run as a SavedModel, which TensorFlow alone loads and TensorFlow Serving serves."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.errors import InputError
from mentormix_tf.runs import flags_txt, layout
from mentormix_tf.serving import classifier, model_card, warmup

ENCODED, ARRAYS = "serving_default", "arrays"  # the signatures
CLASS_NAMES = "class_names.txt"
WARMUP_BATCH_SIZES = (1, 8)


def export(run, trained, export_dir=None, version=0, license=""):
    """Writes a run's network, with what decodes images and names classes, as a SavedModel.

    It appears whole or not at all.

    Args:
        run: `SavedRun`.
        trained: `TrainedNetwork` of that run.
        export_dir: folder for the numbered versions of the model; made if missing. By default,
            export/ in the run's folder.
        version: number of this one; 0 for the next after the highest that is there.
        license: of the model, for its card.

    Returns:
        `epath.Path` of the version's folder. It holds the SavedModel; in assets/ class_names.txt,
        model_card.md and the run's flags.txt; and in assets.extra/ warm-up requests.

    Raises:
        InputError: the version is there already, or the folder can't be written.
    """
    export_dir = epath.Path(export_dir or run.path / layout.EXPORTS).expanduser()
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        taken = [int(child.name) for child in export_dir.iterdir() if child.name.isdecimal()]
        if version and version in taken:
            raise InputError(
                f"version={version} is in {export_dir} already: choose another, or leave --version "
                "out for the next one."
            )
        path = export_dir / str(version or max(taken, default=0) + 1)
        with files.new_folder(path) as folder:
            _write(run, trained, license, folder)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"export_dir={export_dir} can't be written: {reason}.") from error
    return path


def _write(run, trained, license, path):
    classify = classifier.of_run(run, trained)
    # Not the Keras network itself: only TensorFlow's variables and functions are to be stored.
    module = tf.Module()
    module.weights = [variable.value for variable in trained.network.variables]
    signatures = {ENCODED: classify.classify_encoded, ARRAYS: classify.classify_arrays}
    tf.saved_model.save(module, str(path), signatures)
    assets = path / "assets"
    assets.mkdir(exist_ok=True)
    (assets / CLASS_NAMES).write_text("".join(f"{name}\n" for name in run.class_names))
    (assets / layout.FLAGS).write_text((run.path / layout.FLAGS).read_text())
    (assets / "model_card.md").write_text(model_card.write(run, trained, license))
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
        path: the version's folder, as it was named.
        classify_encoded: function of encoded images `[batch]`, string; see `Classifier`.
        class_names: the names of the classes, in the order of the scores.
        data: `DataConfig` of what it was trained on.
    """

    path: str
    classify_encoded: Callable
    class_names: list
    data: DataConfig


def load(path):
    """Loads what `export` wrote.

    Args:
        path: a version's folder.

    Returns:
        `Loaded`.

    Raises:
        InputError: it is no such folder.
    """
    folder = epath.Path(path).expanduser()
    if not (folder / "saved_model.pb").exists():
        versions = sorted(child.parent.name for child in folder.glob("*/saved_model.pb"))
        hint = f": name a version in it, {', '.join(versions)}" if versions else ""
        raise InputError(f"saved_model={path} holds no saved_model.pb{hint}.")
    try:
        class_names = (folder / "assets" / CLASS_NAMES).read_text().splitlines()
        loaded = tf.saved_model.load(str(folder))
        classify = loaded.signatures[ENCODED]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"saved_model={path} can't be used as one that mentormix_tf exported: {error}"
        ) from error
    data = flags_txt.read(folder / "assets" / layout.FLAGS).data
    # Only while the object lives do its variables.
    return Loaded(str(path), lambda images, _=loaded: classify(images=images), class_names, data)
