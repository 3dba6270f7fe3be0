"""Writes a folder for the Hugging Face Hub: the network for Keras, its SavedModel, and a card.

The card is README.md, whose metadata the Hub reads:
https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

import dataclasses
import pathlib
import re
import shutil
from typing import Any

import yaml
from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.networks import hub
from mentormix_tf.runs import layout
from mentormix_tf.runs.saved_run import SavedRun, TrainedNetwork
from mentormix_tf.serving import model_card, saved_model

__all__ = ["DATASETS", "LICENSES", "README", "SAVED_MODEL", "check", "write"]

README, SAVED_MODEL = "README.md", "saved_model"

# The Hub's names of data sets.
DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
}

# The Hub refuses other identifiers, see https://huggingface.co/docs/hub/repositories-licenses.
LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause
bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by
odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr unknown other
"""


def check(path: str) -> None:
    """Raises InputError if the folder can't be written, or has files."""
    folder = files.expanded(path, "hub_folder")
    if files.is_remote(folder):
        raise InputError(f"hub_folder={path} must be a local folder.")
    local = pathlib.Path(folder)
    if local.is_dir() and not any(local.iterdir()):
        return
    if local.exists() or local.is_symlink():
        raise InputError(f"hub_folder={path} must be a new or an empty folder: name another.")
    if not local.parent.is_dir():
        raise InputError(f"hub_folder={path} can't be made: {local.parent} is not a folder.")


def write(
    run: SavedRun, trained: TrainedNetwork, exported: epath.Path, path: str, license: str = ""
) -> pathlib.Path:
    """Writes the folder, whole or not at all.

    It holds README.md; the network as `keras.saving.load_model("hf://USER/NAME")` reads it, in
    config.json, metadata.json and model.weights.h5; saved_model/; class_names.txt; and flags.txt.

    Args:
        run: the run.
        trained: its network.
        exported: the folder of its SavedModel, see `saved_model.export`.
        path: the folder, which must be new or empty.
        license: the model's license; "" if not stated.

    Returns:
        The folder's path.

    Raises:
        InputError: the folder has files or can't be written.
    """
    check(path)
    folder = pathlib.Path(files.expanded(path, "hub_folder"))
    try:
        with files.new_folder(folder) as made:
            made.mkdir()
            trained.network.save(str(made), zipped=False)
            assets = made / "assets"
            if assets.is_dir() and not any(assets.iterdir()):  # of Keras
                assets.rmdir()
            for file in (saved_model.CLASS_NAMES, layout.FLAGS):
                (made / file).write_text((exported / "assets" / file).read_text())
            _copy(exported, made / SAVED_MODEL)
            (made / SAVED_MODEL / "assets" / model_card.FILE).unlink()  # README.md has it
            (made / README).write_text(_readme(run, trained, folder.name, license))
            if folder.is_dir():
                folder.rmdir()  # which fails if it has files by now
    except OSError as error:
        raise InputError(f"hub_folder={path} can't be written: {files.reason(error)}.") from error
    return folder


def _copy(source: epath.Path, target: epath.Path) -> None:
    """Copies a folder, which may be remote."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir():
            _copy(path, target / path.name)
        else:
            with path.open("rb") as read, (target / path.name).open("wb") as written:
                shutil.copyfileobj(read, written)


def _readme(run, trained, name, license):
    public = dataclasses.replace(run.config.data, dataset=_public_name(run.config.data.dataset))
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, data=public))
    metadata = yaml.safe_dump(
        _metadata(run, trained, name, license), sort_keys=False, allow_unicode=True
    )
    return f"---\n{metadata}---\n\n{model_card.write(run, trained, license, _usage(run))}"


def _public_name(dataset):
    """A data set's name without the folders of this machine."""
    family, colon, argument = dataset.partition(":")
    return f"{family}{colon}{pathlib.PurePath(argument).name}"


def _metadata(run, trained, name, license) -> dict[str, Any]:
    data = run.config.data
    on_hub = DATASETS.get(data.dataset)
    metadata = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "noisy-labels", "label-noise", run.config.method],
        **_license(license),
        **({"datasets": [on_hub]} if on_hub else {}),
        "metrics": ["accuracy"],
    }
    accuracy = model_card.test_accuracy(trained)
    if accuracy is None:
        return metadata
    described = f"{data.dataset}, test split (training labels: {model_card.noise(run)})"
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": on_hub or data.dataset, "name": described, "split": "test"},
        "metrics": [
            {"type": "accuracy", "value": accuracy, "name": "Accuracy on clean test labels"}
        ],
    }
    return {**metadata, "model-index": [{"name": name, "results": [result]}]}


def _license(license):
    """A license as the Hub names it; nothing if it is not stated."""
    text = " ".join(license.split())
    if not text:
        return {}
    if text.lower() in LICENSES.split():
        return {"license": text.lower()}
    own = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
    return {"license": "other", "license_name": own}


def _usage(run):
    height, width, channels = run.image_shape
    is_hub = run.config.training.network.startswith(hub.PREFIX)
    extra = "import keras_hub  # whose layers the network has\n" if is_hub else ""
    return f"""## Use

On image files, with TensorFlow alone. It decodes, resizes and scales images as in evaluation:

```python
import pathlib

import huggingface_hub
import tensorflow as tf

folder = huggingface_hub.snapshot_download("USER/NAME")
model = tf.saved_model.load(f"{{folder}}/{SAVED_MODEL}")
images = [pathlib.Path("photo.jpg").read_bytes()]  # JPEG, PNG, BMP or GIF
found = model.signatures["serving_default"](images=tf.constant(images))
for name, score in zip(found["top_classes"][0].numpy(), found["top_scores"][0].numpy()):
    print(name.decode(), f"{{score:.3f}}")
```

The network in Keras, to train it further:

```python
import keras
{extra}import numpy as np

network = keras.saving.load_model("hf://USER/NAME")
images = np.zeros([1, {height}, {width}, {channels}], "float32")  # values from 0 to 255
logits = network(images)  # [1, {len(run.class_names)}], in the order of class_names.txt
```
"""
