"""Training steps of methods, with and without XLA, and what options add to them.

Batches of 128 images of 32 x 32 pixels, on one device.
"""

from benchmarks import harness, steps
from benchmarks.harness import Measurement, Size

__all__ = ["measure"]

METHODS = ("vanilla", "mixup", "mentornet", "mentormix")
OPTIONS = {  # what is measured besides -> method, fields of TrainingConfig
    "vanilla, audit": ("vanilla", {"audit": True}),
    "mentormix, audit": ("mentormix", {"audit": True}),
    "vanilla, sam": ("vanilla", {"sam_rho": 0.1}),
    "mentormix, sam": ("mentormix", {"sam_rho": 0.1}),
}


def measure(size: Size) -> list[Measurement]:
    """Measures each network with and without XLA."""
    networks = ("small_cnn",) if size.is_quick else ("small_cnn", "resnet32_thin", "resnet9_thin")
    shape, batch = ((8, 8, 1), 16) if size.is_quick else ((32, 32, 3), 128)
    data, found = steps.columns(batch, shape), []
    for network in networks:
        for jit_compile in ("false", "true"):
            contenders = {method: (method, {}) for method in METHODS}
            if network == "small_cnn" and jit_compile == "false":
                contenders |= OPTIONS
            made = {
                name: steps.stepper(
                    steps.build(method, network, shape, jit_compile=jit_compile, **options), data
                )
                for name, (method, options) in contenders.items()
            }
            label = f"{network}{' with XLA' if jit_compile == 'true' else ''}"
            times = harness.alternate(made, size.repetitions)
            found += harness.summary(times, label, items=batch)
    return found
