"""The settings of training."""

import dataclasses
import math
import re
from typing import Literal

from mentormix_tf.errors import InputError

__all__ = ["TrainingConfig"]


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The settings of training.

    Args:
        network: network, one of {networks}.
        pretrained: whether to start from ImageNet weights, for networks of keras.applications.
        preprocessing: how a network from a file expects its images: none if it takes values from
            0 to 255, 0-1 or -1-1 for these ranges, imagenet for ImageNet's mean and deviation.
        train_layers: all; head for the last layer alone; or how many blocks before the head train
            with it. The others keep their weights.
        freeze_batch_norm: whether BatchNorm keeps its statistics, scale and offset, and normalizes
            as in inference, while the other layers train: for fine-tuning on few images.
        feature_views: where only the head trains, the layers before it compute their features once,
            of so many views of each image: as in evaluation, and augmented from the second on. 0
            computes them anew in each step, augmented.
        backbone_learning_rate: initial learning rate of all layers but the head; by default
            learning_rate.
        augmentation: none, cifar (the released code's crop, flip and color distortion),
            cifar_standard (crop and flip) or imagenet; auto chooses by the size of the images.
        image_size: height and width of the images that the network sees, in pixels; 0 for the
            images' own size, or 224 if that varies.
        batch_size: examples per step, over all replicas.
        train_steps: number of training steps.
        eval_every: steps between evaluations; train_steps must be a multiple of it.
        learning_rate: initial learning rate of SGD.
        schedule: schedule of the learning rate: cosine to 0, staircase or constant.
        decay_every: steps between two drops of the staircase.
        decay_rate: factor of each drop of the staircase, in (0, 1].
        warmup_steps: steps in which the learning rate first rises linearly from 0.
        momentum: momentum of SGD, in [0, 1).
        weight_decay: factor of the L2 penalty on the kernels of convolutions and dense layers, a
            sum of squares that is added to the loss; half of what PyTorch calls weight decay.
        label_smoothing: fraction of each training label to spread over all classes, below 1; below
            0, other classes count against the label.
        logit_clip: largest Euclidean norm of an example's logits in training, to which longer ones
            are scaled; 0 for no limit.
        sam_rho: length of the step uphill of sharpness-aware minimization (SAM), 0 or more; 0 for
            plain training. 0.05 is usual; with wrong labels, larger values may be better. A step
            takes about twice as long.
        ema_decay: decay of a moving average of the weights, in [0, 1), which is evaluated, too;
            0 for no average, 0.9999 in the released code.
        seed: seed of the initial weights, the order of the examples and the method's random draws.
        steps_per_execution: training steps between two checks of the loss; larger values keep a
            fast device from waiting for the host. eval_every must be a multiple of it.
        jit_compile: whether to compile the step with XLA; auto compiles on GPUs. On TPUs, the step
            is always compiled.
        precision: float32, or bfloat16 for the network's arithmetic; its weights stay float32.
        inference: how the trained network names classes: softmax, or rog for robust Gaussians of
            its features, fitted to the training set when all steps are done (Lee et al. 2019).
        rog_layers: the features that rog looks at: convolution, the last feature maps, which have
            learned less of the wrong labels than what follows; penultimate, the input of the last
            layer; or both, separated by a comma.
        audit: whether to record statistics of each training example, by which the audit command
            finds wrong labels.
    """

    network: str = "small_cnn"
    pretrained: bool = False
    preprocessing: Literal["none", "0-1", "-1-1", "imagenet"] = "none"
    train_layers: str = "all"
    freeze_batch_norm: bool = False
    feature_views: int = 1
    backbone_learning_rate: float | None = None
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
    logit_clip: float = 0.0
    sam_rho: float = 0.0
    ema_decay: float = 0.0
    seed: int = 0
    steps_per_execution: int = 1
    jit_compile: Literal["auto", "true", "false"] = "auto"
    precision: str = "float32"
    inference: Literal["softmax", "rog"] = "softmax"
    rog_layers: tuple[Literal["convolution", "penultimate"], ...] = ("convolution",)
    audit: bool = False

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "train_steps",
            "eval_every",
            "steps_per_execution",
            "decay_every",
        ):
            if not 1 <= getattr(self, name) < 2**31:
                raise InputError(f"{name}={getattr(self, name)} must lie in [1, 2**31).")
        if not 0 <= self.image_size <= 2**14:
            raise InputError(f"image_size={self.image_size} must lie in [0, {2**14}].")
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
                "precision=float16 needs loss scaling, which is wrong on several replicas: use "
                "bfloat16, which needs none."
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision={self.precision} is unknown: choose float32 or bfloat16.")
        if not 0.0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate={self.learning_rate} must be a positive number.")
        if not re.fullmatch(r"all|head|[1-9]\d{0,3}", self.train_layers):
            raise InputError(
                f"train_layers={self.train_layers} must be all, head or a number of blocks."
            )
        if not 0 <= self.feature_views <= 1000:
            raise InputError(f"feature_views={self.feature_views} must lie in [0, 1000].")
        if self.feature_views > 1 and self.train_layers != "head":
            raise InputError(
                f"feature_views={self.feature_views} needs train_layers=head, instead of "
                f"train_layers={self.train_layers}: features of layers that train can't be kept."
            )
        backbone = self.backbone_learning_rate
        if backbone is not None and not 0.0 < backbone < float("inf"):
            raise InputError(f"backbone_learning_rate={backbone} must be a positive number.")
        if backbone is not None and self.train_layers == "head":
            raise InputError(
                f"backbone_learning_rate={backbone} has no layers to train with train_layers=head: "
                "leave one of them out."
            )
        if not 0 <= self.warmup_steps < self.train_steps:
            raise InputError(
                f"warmup_steps={self.warmup_steps} must be at least 0 and less than train_steps="
                f"{self.train_steps}."
            )
        for name in ("momentum", "ema_decay"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name}={getattr(self, name)} must lie in [0, 1).")
        if not -math.inf < self.label_smoothing < 1.0:
            raise InputError(f"label_smoothing={self.label_smoothing} must be a number below 1.")
        if not 0.0 <= self.logit_clip < math.inf:
            raise InputError(f"logit_clip={self.logit_clip} must be a number of at least 0.")
        if not 0.0 < self.decay_rate <= 1.0:
            raise InputError(f"decay_rate={self.decay_rate} must lie in (0, 1].")
        for name in ("weight_decay", "sam_rho"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)} must be a number of at least 0.")
        if not self.rog_layers or len(set(self.rog_layers)) < len(self.rog_layers):
            raise InputError(
                f"rog_layers={','.join(self.rog_layers)} must be one or two different layers."
            )
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed={self.seed} must lie in [0, 2**31).")

    @property
    def uses_cached_features(self) -> bool:
        """Whether the head trains alone, on features that were computed before."""
        return self.train_layers == "head" and self.feature_views > 0
