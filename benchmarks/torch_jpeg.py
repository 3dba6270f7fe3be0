"""A process that reads JPEGs with torchvision when it is told to, see `harness.Child`.

    python -m benchmarks.torch_jpeg FOLDER SIDE BATCH WORKERS SECONDS

Prints images per second. It needs torchvision and nothing of this project.
"""

import sys
import time

import torch
from torchvision import datasets, transforms


def main(folder, side, batch, workers, seconds):
    steps = [transforms.RandomResizedCrop(int(side)), transforms.RandomHorizontalFlip()]
    data = datasets.ImageFolder(folder, transforms.Compose([*steps, transforms.PILToTensor()]))
    sampler = torch.utils.data.RandomSampler(data, replacement=True, num_samples=10**7)
    loader = torch.utils.data.DataLoader(
        data, int(batch), sampler=sampler, num_workers=int(workers), persistent_workers=True
    )
    batches = iter(loader)
    next(batches)
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(6):  # made ahead while others had their turn
            next(batches)
        started, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - started < float(seconds):
            count += len(next(batches)[0])
        print(count / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
