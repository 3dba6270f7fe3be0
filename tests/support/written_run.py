"""Writes the folder of a run without training."""

import types

import numpy as np

from mentormix_tf import methods
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.data import pipeline, splits
from mentormix_tf.runs import saved_run
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.serving import saved_model
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.model import build_model, build_network


def write_run(folder, data_config, **training):
    """Writes the folder of a run with random weights instead of trained ones, and exports it.

    Args:
        folder: the folder to write.
        data_config: `DataConfig` of the noisy split.
        training: fields of `TrainingConfig`.

    Returns:
        A namespace of the model, the preprocessed test images with their labels, the run as it is
        read back, its network and its export.
    """
    config = RunConfig(
        splits.resolve(data_config),
        TrainingConfig(train_steps=20, eval_every=20, **training),
        hyperparameters=methods.resolve("mentormix", {}),
    )
    data, side = splits.prepare(data_config), config.training.image_size
    image_shape = (side, side, 3) if side else data.image_shape
    network = build_network(config, image_shape, len(data.class_names))
    model = build_model(config, network, data.num_examples("train"))
    draws = np.random.RandomState(0)
    averages = model.weight_average.averages if config.training.ema_decay else []
    for variable in (*model.network.variables, *averages):
        variable.assign(variable * draws.uniform(0.5, 1.5, variable.shape))
    written = RunFolder(folder, config)
    checkpoints = Checkpoints(model, folder / "checkpoints", keep=1)
    with written.held():
        written.write_model(
            class_names=data.class_names,
            image_shape=image_shape,
            stored_image_shape=data.image_shape,
            augmentation=config.training.augmentation,
            split_sha256=data.manifest["split_sha256"],
        )
        written.begin()
        checkpoints.save(20, {})
        if "validation" in data:
            checkpoints.save_best(20, {})
        written.write_rows([{"step": 20, "test_accuracy": 0.25, "averaged_test_accuracy": 0.125}])
    saved = saved_run.read(folder)
    shown = dict(augmentation=saved.augmentation, image_shape=saved.image_shape)
    batches = list(pipeline.eval_batches(data, "test", 100, **shown))
    real = np.concatenate([batch["weight"] for batch in batches]) > 0
    trained = saved_run.load_network(saved)
    return types.SimpleNamespace(
        path=folder,
        data_config=data_config,
        model=model,
        images=np.concatenate([batch["image"] for batch in batches])[real],
        label=np.concatenate([batch["label"] for batch in batches])[real],
        run=saved,
        trained=trained,
        export=saved_model.export(saved, trained, folder / "export"),
    )
