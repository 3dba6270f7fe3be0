"""A process that takes PyTorch's steps of training when it is told to, see `harness.Child`.

    python -m benchmarks.torch_step METHOD NETWORK [compiled|eager] [channels_last]

The networks of `mentormix_tf.networks` and MentorMix's step (Algorithm 1 of the paper, γ as the
70th percentile of the first pass's losses), written the way that PyTorch's users would. It needs
PyTorch and nothing of this project.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional

BATCH, CLASSES = 128, 10


def small_cnn():
    layers, channels = [], 3
    for filters in (32, 64):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(filters), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(64 * 64, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, CLASSES))


class Unit(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters, eps=1e-3),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters, eps=1e-3),
        )
        self.stride, self.missing = stride, (filters - channels) // 2

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.missing:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, self.missing, self.missing))
        return functional.relu(shortcut + self.branch(x))


def resnet32_thin():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU()]
    channels = 16
    for filters in (16, 32, 64):
        for unit in range(5):
            layers.append(Unit(channels, filters, 2 if filters > 16 and unit == 0 else 1))
            channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


def vanilla(network, images, labels, state):
    return functional.cross_entropy(network(images), labels)


def mentormix(network, images, labels, state):
    with torch.no_grad():
        losses = functional.cross_entropy(network(images), labels, reduction="none")
        state["gamma"] = 0.5 * state["gamma"] + 0.5 * torch.quantile(losses, 0.7)
        weights = (losses <= state["gamma"]).float()
        partners = torch.multinomial(torch.softmax(weights, 0), BATCH, replacement=True)
        lam = torch.distributions.Beta(2.0, 2.0).sample((BATCH,))
        lam = torch.where(weights > 0.5, lam.clamp(min=0.5), lam.clamp(max=0.5))
        shares = lam[:, None, None, None]
        mixed = shares * images + (1 - shares) * images[partners]
        one_hot = functional.one_hot(labels, CLASSES).float()
        targets = lam[:, None] * one_hot + (1 - lam[:, None]) * one_hot[partners]
    return functional.cross_entropy(network(mixed), targets)


def main(method, network, *ways):
    torch.manual_seed(0)
    model = {"small_cnn": small_cnn, "resnet32_thin": resnet32_thin}[network]().train()
    layout = torch.channels_last if "channels_last" in ways else torch.contiguous_format
    model = model.to(memory_format=layout)
    images = [torch.rand(BATCH, 3, 32, 32).to(memory_format=layout) * 2 - 1 for _ in range(8)]
    labels = [torch.randint(CLASSES, (BATCH,)) for _ in range(8)]
    if "compiled" in ways:
        model = torch.compile(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loss_of = {"vanilla": vanilla, "mentormix": mentormix}[method]
    state = {"gamma": torch.tensor(2.3)}

    def step(i):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, images[i % 8], labels[i % 8], state)
        loss.backward()
        optimizer.step()
        return loss.item()

    for i in range(3):
        step(i)
    print(f"PyTorch {torch.__version__}", flush=True)
    for i, _ in enumerate(sys.stdin):
        started = time.process_time()
        step(i)
        print(time.process_time() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
