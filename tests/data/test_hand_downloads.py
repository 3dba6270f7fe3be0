"""Data sets that are downloaded by hand: tiny ones in the official layout are prepared, verified
and trained on."""

import pytest

from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import splits, verify
from mentormix_tf.training.run import run
from tests.support import official_layouts

WRITERS = {
    "mini_imagenet": official_layouts.write_mini_imagenet,
    "stanford_cars": lambda data_dir, _: official_layouts.write_stanford_cars(data_dir),
    "webvision": lambda data_dir, _: official_layouts.write_webvision(data_dir),
    "mini_webvision": lambda data_dir, _: official_layouts.write_webvision(data_dir),
    "clothing1m_verified": lambda data_dir, _: official_layouts.write_clothing1m(data_dir),
    "food101n": lambda data_dir, _: official_layouts.write_food101n(data_dir),
    "animal10n": lambda data_dir, _: official_layouts.write_animal10n(data_dir),
    "imagenet2012": lambda data_dir, _: official_layouts.write_imagenet2012(data_dir),
    "imagenet2012_50": lambda data_dir, _: official_layouts.write_imagenet2012(data_dir),
}


@pytest.mark.parametrize(
    ("dataset", "noise"),
    [
        ("mini_imagenet", "red"),
        ("stanford_cars", "blue"),
        ("webvision", "web"),
        ("imagenet2012_50", "symmetric"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("mini_imagenet", "blue"),
                ("stanford_cars", "red"),
                ("mini_webvision", "web"),
                ("clothing1m_verified", "web"),
                ("food101n", "web"),
                ("animal10n", "human"),
                ("imagenet2012", "symmetric"),
            ]
        ),
    ],
)
def test_prepared_verified_and_trained_on(dataset, noise, tmp_path, monkeypatch):
    WRITERS[dataset](tmp_path, monkeypatch)
    data = DataConfig(dataset=dataset, noise=noise, data_dir=str(tmp_path))
    made = splits.prepare(data)
    rate = made.manifest["realized_noise_rate"]
    assert 0.2 < rate < 0.6 if rate is not None else noise in ("web", "human")
    assert verify.examine(made.builder, made.manifest).problems == []
    training = TrainingConfig(
        train_steps=10, eval_every=10, batch_size=16, image_size=16, learning_rate=0.01
    )
    output = OutputConfig(model_dir=str(tmp_path / "run"))
    result = run(RunConfig(data=data, training=training, method="vanilla"), output)
    assert result["steps"] == 10 and result["dataset"] == dataset
