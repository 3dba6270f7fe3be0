"""A run whose data and results lie on a remote file system, for `test_strategies.py`.

TensorFlow's in-memory file system ram:// stands in for gs://: neither has paths that Python's own
functions could open. It can't move folders, so the split is made locally and copied.

    python -m tests.distribution.remote_run DATA_DIR
"""

import json
import pathlib
import sys

import tensorflow as tf
from etils.epath import backend, gpath

# Known to epath as gs:// is, which TensorFlow's file systems serve, too.
gpath._URI_PREFIXES = (*gpath._URI_PREFIXES, "ram://")
gpath._URI_SCHEMES = gpath._URI_SCHEMES | {"ram"}
gpath._URI_MAP_ROOT["ram://"] = "/ram/"
gpath._PREFIX_TO_BACKEND["ram"] = backend.tf_backend
gpath.register.register_path_cls("ram://")(gpath.PosixGPath)

from mentormix_tf import InputError  # noqa: E402
from mentormix_tf.config import (  # noqa: E402
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)
from mentormix_tf.data import splits  # noqa: E402
from mentormix_tf.distribution import strategies  # noqa: E402
from mentormix_tf.training.run import run  # noqa: E402

strategy = strategies.get(StrategyConfig(strategy="mirrored", num_virtual_devices=2))
local = pathlib.Path(sys.argv[1])
for path in pathlib.Path(splits.prepare(DataConfig(data_dir=str(local))).path).iterdir():
    copy = f"ram://data/{path.relative_to(local)}"
    tf.io.gfile.makedirs(copy.rpartition("/")[0])
    tf.io.gfile.copy(str(path), copy)


def config(batch_size):
    return RunConfig(
        data=DataConfig(data_dir="ram://data"),
        training=TrainingConfig(batch_size=batch_size, train_steps=4, eval_every=4),
    )


output = OutputConfig(model_dir="ram://runs/remote", checkpoint_every=1, keep_checkpoints=1)
result = run(config(64), output, strategy)
folder = gpath.PosixGPath("ram://runs/remote")
assert json.loads((folder / "result.json").read_text()) == result
assert len((folder / "metrics.csv").read_text().splitlines()) == 2
assert "--batch_size=64" in (folder / "flags.txt").read_text()
assert list((folder / "tensorboard").iterdir())
assert result["device"].endswith("2 replicas")
assert (folder / "checkpoints" / "step-4.index").exists()
assert not (folder / "checkpoints" / "step-3.index").exists()

(folder / "result.json").unlink()  # goes on from the last checkpoint
assert run(config(64), output, strategy) == result

for again, message in [
    (config(32), "holds a run with batch_size=64, and now it is batch_size=32"),
    (config(65), "batch_size=65 can't be shared out to 2 replicas"),
]:
    try:
        run(again, output, strategy)
    except InputError as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)
