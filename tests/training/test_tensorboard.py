"""What TensorBoard shows of a run that was interrupted, read as its web server does."""

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.training.tensorboard import TensorBoard


def written(folder, done, *steps):
    board = TensorBoard(folder, done)
    for step in steps:
        board.write_row({"step": step, "loss": 1 / step})


def steps_shown(folder):
    events = EventAccumulator(str(folder), tensor_size_guidance={}).Reload()
    return [event.step for event in events.Tensors("train/loss")]


@pytest.mark.parametrize(
    ("restarts", "shown"),
    [
        ([(0, 20, 40), (20, 40, 60)], [20, 40, 60]),  # killed between evaluation and checkpoint
        ([(0, 20, 40), (40, 60)], [20, 40, 60]),  # stopped after a checkpoint
        ([(0, 20), (0, 20, 40)], [20, 40]),  # killed before the first checkpoint
        ([(0, 20, 40), (20, 40), (20, 40), (40, 60)], [20, 40, 60]),
    ],
)
def test_each_step_is_shown_once(tmp_path, restarts, shown):
    for i, (done, *steps) in enumerate(restarts):
        written(tmp_path, done, *steps)
        for path in tmp_path.iterdir():  # as if a second had passed since
            name = path.name.split(".")
            if len(name[3]) == 10:
                name[3] = f"{int(name[3]) - 100 * (len(restarts) - i):012d}"
                path.rename(tmp_path / ".".join(name))
    assert steps_shown(tmp_path) == shown


def test_a_name_that_is_no_markdown(tmp_path):
    config = RunConfig(DataConfig(dataset="folder:a|<b>"), TrainingConfig(), "vanilla", {})
    TensorBoard(tmp_path).write_settings(config)
    (event,) = EventAccumulator(str(tmp_path)).Reload().Tensors("flags")
    assert b"| dataset | folder:a\\|&lt;b&gt; |" in event.tensor_proto.string_val[0]
