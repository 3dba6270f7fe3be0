"""The threshold trusts losses below γ, but none at γ or above."""

import numpy as np

from mentormix_tf.mentors.threshold import ThresholdMentor


def test_only_losses_below_gamma_count():
    mentor = ThresholdMentor(gamma_p=0.5, burn_in=0.0)
    losses = np.array([0.0, 0.999, 1.0, 1.001, np.inf, np.nan], np.float32)
    v = mentor.weigh(losses, gamma=1.0, progress=0.5)
    np.testing.assert_array_equal(v, np.array([1, 1, 0, 0, 0, 0], np.float32))
