"""A method's settings by noise level: which are accepted, and which level's are used."""

import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.studies.settings import Settings


@pytest.mark.parametrize(
    "level, nearest", [(0.0, 0.2), (0.2, 0.2), (0.3, 0.2), (0.5, 0.4), (0.6, 0.4), (0.61, 0.8)]
)
def test_other_levels_take_the_settings_of_the_nearest(level, nearest):
    settings = Settings({each: {"alpha": each} for each in (0.8, 0.2, 0.4)})
    assert settings.at(level) == {"alpha": nearest}


@pytest.mark.parametrize("level", [None, 0.0, 0.7])
def test_settings_without_a_level_are_for_all(level):
    assert Settings.parse({"alpha": 2}, check=dict).at(level) == {"alpha": 2}


def test_an_unknown_level_needs_settings_for_all():
    settings = Settings.parse([{"level": 0.2, "alpha": 2}], check=dict)
    assert settings.at(0.9) == {"alpha": 2}
    with pytest.raises(InputError, match="give data a level"):
        settings.at(None)


@pytest.mark.parametrize(
    "given",
    [
        [{"alpha": 2}],
        ["alpha"],
        [{"level": "high"}],
        [{"level": 1.1}],
        [{"level": 0.2}, {"level": 0.2}],
    ],
)
def test_bad_levels_are_refused(given):
    with pytest.raises(InputError):
        Settings.parse(given, check=dict)
