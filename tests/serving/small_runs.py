"""Runs' folders as training leaves them, made in a moment; also on two replicas, as a script."""

import csv
import json
import sys

import keras
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, pipeline, splits


def write(path, data_config, steps=20, method="mentormix", **training):
    """Trains for some steps and writes the folder.

    Returns:
        The method's model, and the test images, as evaluation shows them, with their labels.
    """
    training = {"train_steps": steps, "eval_every": steps, "learning_rate": 0.05, **training}
    config = RunConfig(
        splits.resolve(data_config),
        TrainingConfig(**training),
        method,
        methods.resolve(method, {}),
    )
    data, training = splits.prepare(data_config), config.training
    side = training.image_size
    image_shape = (side, side, data.image_shape[-1]) if side else data.image_shape
    augmentation = augment.get(training.augmentation, data.image_shape)
    before = keras.config.dtype_policy()
    if training.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    with tf.distribute.get_strategy().scope():
        keras.utils.set_random_seed(0)
        network = networks.build(training.network, image_shape, len(data.class_names))
        model = methods.build(
            method,
            network,
            len(data.class_names),
            data.num_examples("train"),
            average_decay=training.average_decay,
        )
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), weighted_metrics=["accuracy"])
    keras.config.set_dtype_policy(before)
    shown = dict(augmentation=augmentation, image_shape=image_shape)
    model.fit(
        pipeline.train_batches(data, training.batch_size, 0, **shown),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    path.mkdir(parents=True)
    flags = "".join(f"--{name}={value}\n" for name, value in config.flags().items())
    (path / "flags.txt").write_text(flags)
    described = {
        "class_names": list(data.class_names),
        "image_shape": image_shape,
        "stored_image_shape": data.image_shape,
        "augmentation": training.augmentation,
    }
    (path / "model.json").write_text(json.dumps(described))
    batches = list(pipeline.eval_batches(data, "test", 100, **shown))
    row = {"step": steps}
    for name, value in model.evaluate(batches_of(batches), verbose=0, return_dict=True).items():
        row[f"test_{name}"] = value
    with (path / "metrics.csv").open("w") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    values = {"network": [variable.value for variable in network.variables]}
    if training.average_decay:
        values["average"] = [average.value for average in model.weight_average.averages]
    for folder in ("checkpoints", "checkpoints/best") if "validation" in data else ("checkpoints",):
        checkpoint = tf.train.Checkpoint(**values)
        manager = tf.train.CheckpointManager(
            checkpoint, str(path / folder), max_to_keep=1, checkpoint_name="step"
        )
        manager.save(checkpoint_number=steps)
    real = tf.concat([batch["weight"] for batch in batches], 0) > 0
    images = tf.concat([batch["image"] for batch in batches], 0)[real]
    return model, images, tf.concat([batch["label"] for batch in batches], 0)[real]


def batches_of(batches):
    return tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature={k: tf.TensorSpec(v.shape, v.dtype) for k, v in batches[0].items()},
    )


if __name__ == "__main__":  # PATH DATA_DIR: in bfloat16 on two replicas
    from etils import epath

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        write(
            epath.Path(sys.argv[1]),
            DataConfig(data_dir=sys.argv[2]),
            steps=5,
            precision="bfloat16",
            average_decay=0.9,
        )
