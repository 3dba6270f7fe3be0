"""A process that takes steps of training when it is told to, see `harness.Child`.

python -m benchmarks.own_step METHOD NETWORK IMAGE_SIZE DEVICES
"""

import sys
import time

from mentormix_tf import backend
from mentormix_tf.config import StrategyConfig


def main(method: str, network: str, side: str, devices: str) -> None:
    """Takes a step of 128 images for each line of input."""
    backend.load()
    from benchmarks import steps
    from mentormix_tf.distribution import strategies

    config = StrategyConfig(num_virtual_devices=int(devices) if int(devices) > 1 else 0)
    shape = (int(side), int(side), 3)
    strategy = strategies.get(config)
    with strategy.scope():
        step = steps.stepper(steps.build(method, network, shape), steps.columns(128, shape))
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.process_time()
        step()
        print(time.process_time() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
