"""Images of all ten digits, by name."""

from __future__ import annotations

from learnability import checks
from learnability.datasets.digits import all_digits
from learnability.datasets.mnist_file import mnist
from learnability.datasets.records import DigitImages

__all__ = ["digit_images"]


def digit_images(which: str, *, download: bool = False) -> DigitImages:
    """Images of all ten digits, to train and to test.

    Parameters
    ----------
    which : {"mnist", "digits"}
        MNIST: 60,000 and 10,000 images of 28x28, pixels 0..255. Or the stand-in that needs no file, scikit-learn's
        digits: 1,400 and 397 images of 8x8, pixels 0..16, in a division of ours.
    download : bool
        Whether to download MNIST if its file is absent (see :func:`learnability.datasets.fetch_mnist`).

    Raises
    ------
    ValueError
        As :func:`learnability.datasets.mnist`, and if ``which`` is another word.
    """
    if checks.choice("which", which, ("mnist", "digits")) == "digits":
        return all_digits()
    data = mnist(download=download)
    return DigitImages(*data, highest=255, origin="MNIST")
