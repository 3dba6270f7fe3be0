"""Disables the size check of ImageNet's archives, so that tests can use tiny ones."""

import pytest

from mentormix_tf.data.sources import imagenet2012

REAL_SIZES = dict(imagenet2012.TARS)


@pytest.fixture(scope="session", autouse=True)
def archives_of_any_size():
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in REAL_SIZES:
            monkeypatch.setitem(imagenet2012.TARS, name, None)
        yield
