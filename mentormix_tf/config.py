"""What a run is made of: frozen dataclasses, from whose fields and docstrings the flags come."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The noisy split to train on.

    Args:
        dataset: digits, fashion_mnist, cifar10, cifar100, cifar10_n, cifar100_n, mini_imagenet,
            stanford_cars, webvision, mini_webvision, imagenet2012, imagenet2012_50, tfds:NAME,
            folder:PATH or csv:PATH.
        noise: how labels are made wrong: symmetric, uniform, asymmetric, matrix or from_file; or
            the data set's own: red, blue, human_worse and the like; none leaves them as they are.
            Left out, the data set's own noise if it has some, else symmetric.
        noise_level: fraction of the training labels to make wrong, in [0, 1]; left out, 0.4.
        noise_seed: seed of the noise and of the validation cut; another one, other wrong labels.
        noise_file: transition matrix for --noise=matrix (.npy, .csv), or noisy labels for
            --noise=from_file (.npy, .csv, .json).
        validation_fraction: fraction of the noisy training examples to hold out, in [0, 1), for
            choosing hyperparameters without the test labels.
        train_examples: how many training examples to take, drawn by noise_seed; left out, all. What
            validation_fraction holds out comes off them.
        data_dir: folder of TensorFlow Datasets, where prepared splits and downloads are kept.
    """

    dataset: str = "digits"
    noise: str = ""
    noise_level: float | None = None
    noise_seed: int = 0
    noise_file: str = ""
    validation_fraction: float = 0.0
    train_examples: int | None = None
    data_dir: str = "~/tensorflow_datasets"

    def __post_init__(self):
        if self.noise_level is not None and not 0.0 <= self.noise_level <= 1.0:
            raise InputError(f"noise_level={self.noise_level} must lie in [0, 1].")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise InputError(f"validation_fraction={self.validation_fraction} must lie in [0, 1).")
        if self.train_examples is not None and self.train_examples < 1:
            raise InputError(f"train_examples={self.train_examples} must be at least 1.")
        if not 0 <= self.noise_seed < 2**32:
            raise InputError(f"noise_seed={self.noise_seed} must lie in [0, 2**32).")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Args:
        network: the network, by name: small_cnn, resnet32, resnet32_thin, preact_resnet18,
            wide_resnet_28_10, or one of keras.applications, such as resnet50.
        pretrained: whether to start from ImageNet weights, which those of keras.applications have.
        augmentation: none, cifar (the released code's crop, flip and colours), cifar_standard
            (crop and flip) or imagenet; auto goes by the size of the images.
        image_size: pixels a side that the network is shown; 0 for the images' own size, or 224
            where that differs between images.
        batch_size: examples in a step, over all replicas.
        train_steps: how many steps to train.
        eval_every: steps between evaluations; train_steps must be a multiple of it.
        learning_rate: SGD's learning rate at the start.
        schedule: how it goes on: along a cosine to 0, down a staircase, or constant.
        decay_every: steps between two stairs.
        decay_rate: what each stair multiplies the learning rate by.
        warmup_steps: steps in which the learning rate first rises from 0.
        momentum: of SGD, in [0, 1).
        weight_decay: times the sum of squares of the kernels of convolutions and dense layers is
            added to the loss; half of what PyTorch calls weight decay.
        label_smoothing: in [0, 1), share of each training label that is spread over all classes.
        average_decay: in [0, 1), decay of a moving average of the weights, which is evaluated, too;
            0 for none, 0.9999 in the released code.
        seed: seed of the weights, the order of the examples and the method's draws.
        steps_per_execution: steps between two looks at the loss; more of them keep a fast
            device from waiting for the host. eval_every must be a multiple of it.
        jit_compile: whether XLA compiles the step; auto does so where there is a GPU. A TPU always
            compiles.
        precision: float32, or bfloat16 for the network's arithmetic; its weights stay float32.
    """

    network: str = "small_cnn"
    pretrained: bool = False
    augmentation: str = "auto"
    image_size: int = 0
    batch_size: int = 128
    train_steps: int = 600
    eval_every: int = 100
    learning_rate: float = 0.1
    schedule: Literal["cosine", "staircase", "constant"] = "cosine"
    decay_every: int = 1000
    decay_rate: float = 0.9
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    average_decay: float = 0.0
    seed: int = 0
    steps_per_execution: int = 1
    jit_compile: Literal["auto", "true", "false"] = "auto"
    precision: str = "float32"

    def __post_init__(self):
        for name in (
            "batch_size",
            "train_steps",
            "eval_every",
            "steps_per_execution",
            "decay_every",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.train_steps >= 2**31:
            raise InputError(f"train_steps={self.train_steps} must be less than 2**31.")
        if self.image_size < 0:
            raise InputError(f"image_size={self.image_size} must not be negative.")
        if self.train_steps % self.eval_every and self.train_steps > self.eval_every:
            raise InputError(
                f"train_steps={self.train_steps} must be a multiple of eval_every="
                f"{self.eval_every}, so that the last evaluation is of the final weights."
            )
        if min(self.eval_every, self.train_steps) % self.steps_per_execution:
            raise InputError(
                f"eval_every={self.eval_every} must be a multiple of steps_per_execution="
                f"{self.steps_per_execution}."
            )
        if self.precision == "float16":
            raise InputError(
                "precision=float16 needs its loss scaled, which is wrong on several replicas: "
                "take bfloat16, which needs none."
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision={self.precision} is unknown: choose float32 or bfloat16.")
        if not 0.0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate={self.learning_rate} must be a positive number.")
        if not 0 <= self.warmup_steps < self.train_steps:
            raise InputError(
                f"warmup_steps={self.warmup_steps} must not be negative, and less than train_steps="
                f"{self.train_steps}."
            )
        for name in ("momentum", "label_smoothing", "average_decay"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name}={getattr(self, name)} must lie in [0, 1).")
        if not 0.0 < self.decay_rate <= 1.0:
            raise InputError(f"decay_rate={self.decay_rate} must lie in (0, 1].")
        if not 0.0 <= self.weight_decay < float("inf"):
            raise InputError(f"weight_decay={self.weight_decay} must be a number from 0 on.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed={self.seed} must lie in [0, 2**31).")


@dataclasses.dataclass(frozen=True)
class StrategyConfig:
    """The devices to train on.

    Args:
        strategy: cpu, one_device (the first GPU, if any), mirrored (all GPUs), multi_worker
            (several hosts) or tpu; auto takes a TPU if there is one, else several hosts if
            TF_CONFIG or worker_hosts names them, else all GPUs, else the CPU.
        tpu: the TPU: local on a TPU VM, else its name or address.
        num_virtual_devices: parts to split the CPU into, to try --strategy=mirrored without GPUs.
        worker_hosts: address and port of each worker, for --strategy=multi_worker without
            TF_CONFIG; the same list for all.
        task_index: which of worker_hosts this process is; the first writes the results.
        worker_timeout: seconds to wait for the other workers.
    """

    strategy: Literal["auto", "cpu", "one_device", "mirrored", "multi_worker", "tpu"] = "auto"
    tpu: str = ""
    num_virtual_devices: int = 0
    worker_hosts: tuple[str, ...] = ()
    task_index: int = 0
    worker_timeout: int = 300

    def __post_init__(self):
        for name in ("num_virtual_devices", "task_index"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative.")
        if self.worker_timeout < 1:
            raise InputError(f"worker_timeout={self.worker_timeout} must be at least 1 second.")


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """What a run leaves behind, and whether it goes on from there.

    Args:
        model_dir: the run's folder; left out, a new one in runs/. With --compare, it holds a folder
            for each method.
        resume: auto goes on with the run that model_dir holds; never refuses a folder that holds
            anything.
        checkpoint_every: steps between checkpoints; 0 for one at every evaluation.
        keep_checkpoints: how many of the latest checkpoints are kept; besides, the one that is best
            on the noisy validation split is, where there is one.
        profile_steps: the first and the last step to profile, as in 20,30, for TensorBoard's
            profiler.
    """

    model_dir: str = ""
    resume: Literal["auto", "never"] = "auto"
    checkpoint_every: int = 0
    keep_checkpoints: int = 3
    profile_steps: tuple[int, ...] = ()

    def __post_init__(self):
        if self.checkpoint_every < 0:
            raise InputError(f"checkpoint_every={self.checkpoint_every} must not be negative.")
        if self.keep_checkpoints < 1:
            raise InputError(f"keep_checkpoints={self.keep_checkpoints} must be at least 1.")
        try:
            steps = [int(step) for step in self.profile_steps]
        except ValueError:
            steps = [0]
        if steps and not (len(steps) == 2 and 0 < steps[0] <= steps[1]):
            raise InputError(
                f"profile_steps={','.join(map(str, self.profile_steps))} must be two steps from 1 "
                "on, as in 20,30."
            )
        object.__setattr__(self, "profile_steps", tuple(steps))


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run.

    Args:
        data: the noisy split.
        training: how the network is trained.
        method: the method, by name.
        hyperparameters: the method's own, by name; those left out keep the method's defaults.
    """

    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    method: str = "mentormix"
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def flags(self):
        """The flags that repeat the run: a dict from name to value, as text."""
        values = {
            **dataclasses.asdict(self.data),
            "method": self.method,
            **self.hyperparameters,
            **dataclasses.asdict(self.training),
        }
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if value is not None
        }

    def flagfile(self):
        """Those flags as the text of a flagfile."""
        return "".join(f"--{name}={value}\n" for name, value in self.flags().items())
