"""Everything that reads data files: files in, arrays out. Nothing is downloaded unless that is asked for."""

from learnability.datasets.digits import digits_pair
from learnability.datasets.images import digit_images
from learnability.datasets.mnist_file import (
    Mnist,
    StandInWarning,
    announce_stand_in,
    fetch_mnist,
    has_mnist,
    mnist,
    mnist_pair,
    mnist_path,
)
from learnability.datasets.records import DataSet, DigitImages, Table
from learnability.datasets.table import read_table

__all__ = [
    "DataSet",
    "DigitImages",
    "Mnist",
    "StandInWarning",
    "Table",
    "announce_stand_in",
    "digit_images",
    "digits_pair",
    "fetch_mnist",
    "has_mnist",
    "mnist",
    "mnist_pair",
    "mnist_path",
    "read_table",
]
