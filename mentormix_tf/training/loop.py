"""The training loop: takes steps, evaluates, saves checkpoints, and stops on SIGTERM."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.config import TrainingConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError, Preempted
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.tensorboard import Profile

__all__ = ["Loop", "Progress"]


@dataclasses.dataclass
class Progress:
    """A run's progress, apart from the model's variables.

    Attributes:
        rows: the evaluations so far, as rows of metrics.csv.
        steps: how many steps were timed; those that wait for a compiler are not.
        seconds: how long the timed steps took.
        waited: how many of these seconds were spent waiting for batches.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def speed(self, batch_size: int) -> dict[str, float | None]:
        """The columns of metrics.csv about speed; None if no step was timed.

        Returns:
            `images_per_second`, and `input_wait`, the fraction of the time spent waiting for
            batches.
        """
        return {
            "images_per_second": self.steps * batch_size / self.seconds if self.steps else None,
            "input_wait": self.waited / self.seconds if self.steps else None,
        }

    def since(self, earlier: "Progress") -> "Progress":
        """The progress since an earlier point of the same run, without rows."""
        parts = ("steps", "seconds", "waited")
        return Progress([], *(getattr(self, part) - getattr(earlier, part) for part in parts))


class Loop:
    """Trains a model from its current step.

    Args:
        model: the model, compiled, with all its variables built.
        config: how to train.
        progress: the run's progress, which the loop updates.
        evaluate: evaluates the model. It takes the columns that training measured, and returns them
            with those of the evaluation, as a row of metrics.csv.
        checkpoints: where the run is saved.
        checkpoint_every: steps between checkpoints.
        profile: the profiler.
    """

    def __init__(
        self,
        model: NoisyLabelModel,
        config: TrainingConfig,
        progress: Progress,
        evaluate: Callable[[dict[str, Any]], dict[str, Any]],
        checkpoints: Checkpoints,
        checkpoint_every: int,
        profile: Profile,
    ):
        self.model = model
        self.config = config
        self.progress = progress
        self.evaluate = evaluate
        self.checkpoints = checkpoints
        self.checkpoint_every = checkpoint_every
        self.profile = profile
        self._metrics = tf.function(model.get_metrics_result, autograph=False)

    def run(self, batches: Iterable) -> None:
        """Takes the remaining steps.

        Args:
            batches: training batches, starting at the model's step.

        Raises:
            InputError: the loss or the weights became infinite or NaN, or a checkpoint can't be
                written.
            Preempted: the process received SIGTERM, and a checkpoint was saved.
        """
        model, config, progress = self.model, self.config, self.progress
        first = step = int(model.step.numpy())
        model.begin_training(config.train_steps)
        advance, iterator = model.make_training_loop(), iter(batches)
        before = dataclasses.replace(progress)
        shown = {"initial": step, "total": config.train_steps, "unit": "step", "disable": None}
        bar = tqdm(desc="Compiling the first step", **shown)
        with bar, _StopSignal(model.distribute_strategy) as stop, self.profile:
            while True:
                is_asked_to_stop = stop.is_asked()
                # After SIGTERM there is little time: the resumed run makes up for the evaluation.
                if self._is_evaluation_due(step) and not is_asked_to_stop:
                    bar.set_description("Evaluating")
                    self._evaluate(step, progress.since(before))
                    before = dataclasses.replace(progress)
                    bar.set_description("Training")
                    is_asked_to_stop = stop.is_asked()
                is_last = step == config.train_steps
                if step > first and (
                    step % self.checkpoint_every == 0 or is_last or is_asked_to_stop
                ):
                    self._save(self.checkpoints.save, step)
                if is_last and not self._is_evaluation_due(step):
                    return
                if is_asked_to_stop:
                    raise Preempted(f"after step {step}")

                self.profile.next_steps(step + 1, step + config.steps_per_execution)
                started = time.perf_counter()
                logs, waited = advance(iterator)
                loss = float(logs["loss"])  # waits until the steps are done
                if step == first:
                    bar.set_description("Training")
                else:
                    progress.steps += config.steps_per_execution
                    progress.seconds += time.perf_counter() - started
                    progress.waited += waited
                step += config.steps_per_execution
                if not math.isfinite(loss):
                    raise self._bad(f"The loss became {loss}", step)
                bar.update(config.steps_per_execution)

    def _is_evaluation_due(self, step):
        every = min(self.config.eval_every, self.config.train_steps)
        done = self.progress.rows[-1]["step"] if self.progress.rows else 0
        return step % every == 0 and step > done

    def _evaluate(self, step, timed):
        rate = float(self.model.optimizer.learning_rate)
        shown = {"step": step, "learning_rate": rate, **timed.speed(self.config.batch_size)}
        for name, value in self._metrics().items():
            shown[name] = None if self.model.watch.is_empty(name) else float(value)
        *earlier, row = self.progress.rows = [*self.progress.rows, self.evaluate(shown)]
        self.model.reset_metrics()
        accuracy = row.get("validation_accuracy")
        if accuracy is not None and all(accuracy > r["validation_accuracy"] for r in earlier):
            self._save(self.checkpoints.save_best, step)

    def _save(self, save, step):
        # A step's loss is computed before its update, which may break the weights.
        weights = [w for w in self.model.network.variables if "float" in w.dtype]
        if not all(bool(tf.reduce_all(tf.math.is_finite(weight))) for weight in weights):
            raise self._bad("Weights became infinite or NaN", step)
        save(step, dataclasses.asdict(self.progress))

    def _bad(self, what, step):
        kept = self.checkpoints.steps()
        return InputError(
            f"{what} at step {step}: most often the learning rate is too high (try a tenth of it, "
            "in a new folder), else images hold NaN or labels lie outside their range; "
            + (f"the checkpoint of step {kept[-1]} is kept." if kept else "no step was saved.")
        )


class _StopSignal:
    """Catches SIGTERM, which schedulers send some time before they kill a process."""

    def __init__(self, strategy):
        self._strategy = strategy
        self._came = False

    def __enter__(self):
        self._is_main = threading.current_thread() is threading.main_thread()  # others can't catch
        if self._is_main:
            self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *error):
        if self._is_main:
            signal.signal(signal.SIGTERM, self._previous)

    def is_asked(self):
        """Whether any worker received the signal. All workers call it after the same step."""
        return strategies.any_worker(self._strategy, self._came)

    def _remember(self, *_):
        self._came = True
