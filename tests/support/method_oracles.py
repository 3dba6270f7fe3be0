"""The methods' losses in float64 NumPy, written from their papers and not from the package."""

import math

import numpy as np

from tests.support.oracles import cross_entropy, log_softmax


def gradient(function, at, step=1e-6):
    """The gradient of a scalar function, by central differences."""
    at = np.array(at, np.float64)
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        ahead, behind = at.copy(), at.copy()
        ahead[place] += step
        behind[place] -= step
        found[place] = (function(ahead) - function(behind)) / (2 * step)
    return found


def bootstrap(labels, logits, mode, beta):
    p = np.exp(log_softmax(logits))
    z = p if mode == "soft" else np.eye(p.shape[1])[p.argmax(axis=1)]
    return -((beta * labels + (1 - beta) * z) * np.log(p)).sum(axis=1)


def generalized_cross_entropy(labels, logits, q, k):
    p = (np.exp(log_softmax(logits)) * labels).sum(axis=1)
    return np.where(p <= k, (1 - k**q) / q, (1 - p**q) / q)


def s_model(labels, logits, w):
    transition = np.exp(log_softmax(w))
    noisy = [sum(p[i] * transition[i] for i in range(len(p))) for p in np.exp(log_softmax(logits))]
    return -(labels * np.log(noisy)).sum(axis=1)


def forward(labels, logits, matrix):
    noisy = np.exp(log_softmax(logits)) @ matrix
    return -(labels * np.log(noisy)).sum(axis=1)


def elr(labels, logits, targets, weight):
    """`targets`: those of the examples after the step's update."""
    p = np.clip(np.exp(log_softmax(logits)), 1e-4, 1 - 1e-4)
    return cross_entropy(labels, logits) + weight * np.log(1 - (targets * p).sum(axis=1))


def elr_targets(before, logits, beta):
    p = np.clip(np.exp(log_softmax(logits)), 1e-4, 1 - 1e-4)
    return beta * before + (1 - beta) * p / p.sum(axis=1, keepdims=True)


def normalized_cross_entropy(labels, logits):
    classes = np.eye(labels.shape[1])
    every = sum(cross_entropy(np.tile(row, (len(labels), 1)), logits) for row in classes)
    return cross_entropy(labels, logits) / every


def reverse_cross_entropy(labels, logits):
    log_labels = np.where(labels > 0, np.log(np.maximum(labels, 1e-300)), -9.210340371976182)
    return -(np.exp(log_softmax(logits)) * log_labels).sum(axis=1)


def absolute_error(labels, logits):
    return np.abs(labels - np.exp(log_softmax(logits))).sum(axis=1) / 2


def data_parameters(labels, logits, log_sigmas):
    """`log_sigmas`: the logarithms of the terms of σ, a list of `[batch]`."""
    return cross_entropy(labels, logits / sum(np.exp(s) for s in log_sigmas)[:, None])


def imbalance(logits):
    mean = np.exp(log_softmax(logits)).mean(axis=0)
    uniform = 1 / len(mean)
    return sum(uniform * np.log(uniform / p) for p in mean)


def co_teaching(labels, logits, peer_logits, kept):
    """The losses of both networks, of the examples with the other's lowest losses: a mean each."""
    own, peers = cross_entropy(labels, logits), cross_entropy(labels, peer_logits)
    return sum(
        mine[np.argsort(others)[:kept]].mean() for mine, others in ((own, peers), (peers, own))
    )


class BetaMixture:
    """Arazo et al.'s mixture model of the losses of right labels (0) and of wrong labels (1)."""

    def __init__(self, losses):
        self.low, self.high = np.percentile(losses, 5) + 1e-5, np.percentile(losses, 95)
        inside = (losses >= np.percentile(losses, 5)) & (losses <= self.high)
        x = self.unit(losses[inside])
        self.a, self.b, self.share = [1.0, 2.0], [2.0, 1.0], [0.5, 0.5]
        for _ in range(10):
            joint = np.array([self.joint(x, k) for k in (0, 1)])
            belongs = joint / joint.sum(axis=0)
            for k in (0, 1):
                mean = np.average(x, weights=belongs[k])
                variance = np.average((x - mean) ** 2, weights=belongs[k])
                self.a[k] = mean * (mean * (1 - mean) / variance - 1)
                self.b[k] = self.a[k] * (1 - mean) / mean
                self.share[k] = belongs[k].sum() / len(x)

    def unit(self, losses):
        return np.clip((losses - self.low) / (self.high - self.low + 1e-6), 1e-3, 1 - 1e-3)

    def joint(self, x, k):
        a, b = self.a[k], self.b[k]
        beta = math.exp(math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))
        return self.share[k] * x ** (a - 1) * (1 - x) ** (b - 1) / beta

    def wrong(self, losses):
        """The posterior of a wrong label, which stays at its maximum for all larger losses."""

        def posterior(x):
            return self.joint(x, 1) / (self.joint(x, 0) + self.joint(x, 1))

        line = np.linspace(1e-3, 1 - 1e-3, 20001)
        peak = line[posterior(line).argmax()]
        return posterior(np.minimum(self.unit(losses), peak))
