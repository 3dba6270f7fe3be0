"""Packaging. TensorFlow comes by an extra, since its CPU, GPU and TPU builds are rival packages."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"', (HERE / "mentormix_tf" / "version.py").read_text(), re.MULTILINE
)[1]

# TensorFlow and Keras were tried at both ends of their ranges, the rest at recent versions.
CPU = [
    "tensorflow-cpu>=2.20,<2.22; sys_platform != 'darwin'",
    "tensorflow>=2.20,<2.22; sys_platform == 'darwin'",
]
GPU = ["tensorflow[and-cuda]>=2.20,<2.22"]
TPU = ["tensorflow-tpu>=2.20,<2.21"]
# Only to compile for TPUs without one; through parts of JAX that may change, so tried ones only.
AOT = ["jax>=0.10.2,<0.13", "libtpu>=0.0.52,<0.0.53"]
# Only to make Mini-ImageNet from its originals, which TFDS resizes with OpenCV.
MINI_IMAGENET = ["opencv-python-headless>=4.10,<6"]
TEST = [
    *CPU,
    *MINI_IMAGENET,
    "pandas>=2.2,<4",
    "pytest>=8,<10",
    "pytest-xdist>=3.6,<4",
    "ruff>=0.15,<0.18",
    "setuptools>=70.1",
    "wheel",
]

setup(
    name="mentormix-tf",
    version=VERSION,
    description="MentorMix for Keras and TensorFlow 2: training on noisy labels",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["mentormix_tf", "mentormix_tf.*"]),
    package_data={
        "mentormix_tf.mentors": ["mentornet_pd.npz"],
        "mentormix_tf.studies": ["published.csv"],
        "mentormix_tf.shipped": ["flags/**/*.flags", "flags/README.md", "studies/*.yaml"],
    },
    python_requires=">=3.10,<3.14",
    install_requires=[
        "absl-py>=2.1,<3",
        "docstring-parser>=0.16,<1",
        "keras>=3.12,<4",
        "matplotlib>=3.9,<4",
        "numpy>=2,<3",
        "scikit-learn>=1.7,<2",
        "scipy>=1.15,<2",
        "importlib_resources>=6",  # some TFDS builders import it
        "pillow>=10,<13",
        "pyyaml>=6,<7",
        "tensorboard>=2.20,<2.22",
        "tensorflow-datasets>=4.9.7,<5",
        "tqdm>=4.66,<5",
    ],
    extras_require={
        "cpu": CPU,
        "gpu": GPU,
        "tpu": TPU,
        "aot": [*CPU, *AOT],
        "mini_imagenet": MINI_IMAGENET,
        "test": TEST,
    },
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
