"""The training loop: steps, a look at their loss, evaluations, checkpoints, the wish to stop."""

import dataclasses
import math
import signal
import threading
import time

import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError, Preempted


@dataclasses.dataclass
class Progress:
    """How far a run has come, besides what the model has learned.

    Attributes:
        rows: the evaluations so far, as dicts.
        steps: steps that were timed. What waits for a compiler is not.
        seconds: how long those took.
        waited: how many of the seconds went by before their batches were there.
    """

    rows: list = dataclasses.field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def speed(self, batch_size):
        """images_per_second and input_wait, the share of the time that steps wait for batches."""
        return {
            "images_per_second": self.steps * batch_size / self.seconds if self.steps else None,
            "input_wait": self.waited / self.seconds if self.steps else None,
        }

    def since(self, earlier):
        """The part that came after an earlier `Progress` of the same run, without its rows."""
        parts = ("steps", "seconds", "waited")
        return Progress([], *(getattr(self, part) - getattr(earlier, part) for part in parts))


class Loop:
    """Trains a model from where it stands.

    Args:
        model: `NoisyLabelModel`, compiled, with all its variables made.
        config: `TrainingConfig`.
        progress: `Progress`, which goes on.
        evaluate: function of what training shows, a dict, that returns the row of an evaluation.
        checkpoints: `Checkpoints`.
        checkpoint_every: steps between checkpoints.
        profile: `Profile`.
    """

    def __init__(self, model, config, progress, evaluate, checkpoints, checkpoint_every, profile):
        self.model = model
        self.config = config
        self.progress = progress
        self.evaluate = evaluate
        self.checkpoints = checkpoints
        self.checkpoint_every = checkpoint_every
        self.profile = profile
        self._metrics = tf.function(model.get_metrics_result)

    def run(self, batches):
        """Takes the steps that are left.

        Args:
            batches: training batches, from the model's step on.

        Raises:
            InputError: the loss became infinite or NaN, or a checkpoint can't be written.
            Preempted: the process was asked to stop, and has saved a checkpoint.
        """
        model, config, progress = self.model, self.config, self.progress
        first = step = int(model.step.numpy())
        model.begin_training(config.train_steps)
        advance, iterator = model.make_training_loop(), iter(batches)
        before = dataclasses.replace(progress)
        bar = tqdm(initial=step, total=config.train_steps, unit="step", disable=None)
        with bar, _StopSignal(model.distribute_strategy) as stop, self.profile:
            while True:
                is_asked_to_stop = stop.is_asked()
                # Who is asked to stop has little time: the evaluation is made up for later.
                if self._is_evaluation_due(step) and not is_asked_to_stop:
                    self._evaluate(step, progress.since(before))
                    before = dataclasses.replace(progress)
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
                loss = float(logs["loss"])  # when the steps are done
                if step > first:
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
        # The loss of a step is that before its gradients were added, which may break the weights.
        weights = [w for w in self.model.network.variables if "float" in w.dtype]
        if not all(bool(tf.reduce_all(tf.math.is_finite(weight))) for weight in weights):
            raise self._bad("Weights became infinite or NaN", step)
        save(step, dataclasses.asdict(self.progress))

    def _bad(self, what, step):
        kept = self.checkpoints.steps()
        return InputError(
            f"{what} at step {step}: most often the learning rate is too high (try a tenth of it, "
            "in a new folder), else images hold NaN or labels lie outside their range. "
            + (f"The checkpoint of step {kept[-1]} is kept." if kept else "No step was saved.")
        )


class _StopSignal:
    """Catches SIGTERM, which schedulers send some time before they kill."""

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
        """Whether any worker got the signal. All of them ask after the same step."""
        return strategies.any_worker(self._strategy, self._came)

    def _remember(self, *_):
        self._came = True
