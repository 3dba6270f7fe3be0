"""MentorMix in float64 NumPy, written from the paper's Algorithm 1 and not from the package."""

import numpy as np


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(labels, logits):
    return -(labels * log_softmax(logits)).sum(axis=1)


class Mentor:
    """Threshold mentor with its moving percentile."""

    def __init__(self, gamma_p, decay, interpolation, burn_in):
        self.gamma_p, self.decay = gamma_p, decay
        self.interpolation, self.burn_in = interpolation, burn_in
        self.gamma = 0.0

    def __call__(self, losses, progress):
        percentile = np.percentile(losses, 100 * self.gamma_p, method=self.interpolation)
        self.gamma = self.decay * self.gamma + (1 - self.decay) * percentile
        if progress < self.burn_in:
            return np.ones(len(losses))
        return np.array([1.0 if loss < self.gamma else 0.0 for loss in losses])


def mentornet_pd(weights, loss, difference, stage):
    """MentorNet-PD for one example, cell by cell, with the released weight names."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def basic_lstm_cell(name, inputs):
        """One step of TF1's BasicLSTMCell with forget_bias=0; returns cell state and output."""
        c, h = np.zeros(1), np.zeros(1)
        kernel, bias = (
            weights[f"bidirectional_rnn/{name}/basic_lstm_cell/{part}"]
            for part in ("kernel", "bias")
        )
        i, j, f, o = np.split(np.concatenate([inputs, h]) @ kernel + bias, 4)
        c = c * sigmoid(f) + sigmoid(i) * np.tanh(j)
        return c, sigmoid(o) * np.tanh(c)

    weights = {name.removeprefix("mentornet/"): np.float64(w) for name, w in weights.items()}
    inputs = np.array([loss, difference])
    forward, _ = basic_lstm_cell("fw", inputs)
    backward, _ = basic_lstm_cell("bw", inputs)
    embedded = [weights["label_embedding"][0], weights["epoch_embedding"][stage]]
    features = np.concatenate([*embedded, forward, backward])
    hidden = np.tanh(features @ weights["Variable"] + weights["Variable_1"])
    output_weights = weights["Variable_2"] + weights["Variable_3"]  # the released code's quirk
    return sigmoid(hidden @ output_weights)[0]


class LinearMentorMix:
    """MentorMix on logits = images @ weights, trained by plain SGD, one example at a time.

    The caller passes the random draws: λ before it is adjusted by the weights, and the partners.
    """

    def __init__(
        self, weights, learning_rate, train_steps, mentor, second_mentor=None, sam_rho=0.0
    ):
        self.weights = np.array(weights, np.float64)
        self.learning_rate, self.train_steps = learning_rate, train_steps
        self.mentor, self.second_mentor, self.sam_rho = mentor, second_mentor, sam_rho

    def weigh(self, images, labels, step):
        v = self.mentor(cross_entropy(labels, images @ self.weights), step / self.train_steps)
        return v, np.exp(v) / np.exp(v).sum()

    def mix(self, images, labels, v, raw_lam, partners):
        lam, mixed_images, mixed_labels = [], [], []
        for i, j in enumerate(partners):
            high, low = max(raw_lam[i], 1 - raw_lam[i]), min(raw_lam[i], 1 - raw_lam[i])
            lam.append(v[i] * high + (1 - v[i]) * low)
            mixed_images.append(lam[i] * images[i] + (1 - lam[i]) * images[j])
            mixed_labels.append(lam[i] * labels[i] + (1 - lam[i]) * labels[j])
        return np.array(lam), np.array(mixed_images), np.array(mixed_labels)

    def learn(self, mixed_images, mixed_labels, step):
        logits = mixed_images @ self.weights
        losses = cross_entropy(mixed_labels, logits)
        v = np.ones(len(losses))
        if self.second_mentor:
            v = self.second_mentor(losses, step / self.train_steps)

        def gradient(weights):
            residual = np.exp(log_softmax(mixed_images @ weights)) - mixed_labels
            return mixed_images.T @ (v[:, None] * residual) / len(losses)

        learned = gradient(self.weights)
        if self.sam_rho:
            ascent = self.sam_rho * learned / np.linalg.norm(learned)
            learned = gradient(self.weights + ascent)
        self.weights -= self.learning_rate * learned
        return (v * losses).mean()
