"""The learners of the four papers as scikit-learn estimators: for pipelines, searches and cross-validation.

================================ ============================================================================
:class:`.SymmetricClassifier`    functions of the sum of bits, parity included
:class:`.LeakyReluClassifier`    linearly separable data, with its guarantees as attributes
:class:`.SparseParityClassifier` parities of a few bits, where a share of the examples shows which
:class:`.ResNetRegressor`        targets with two levels, F + alpha G(F)
:class:`.KernelMachine`          kernel ridge regression with any kernel of :mod:`learnability.kernels.named`
:class:`.KernelClassifier`       the same on signs, one class against the rest
:class:`.ReluFeatures`           random features, transformers; so are the next two
:class:`.CosineFeatures`         those of the Gaussian kernel
:class:`.GatedFeatures`          those of a gated linear network
:class:`.ProcessKernel`          the kernels in Gaussian processes
================================ ============================================================================

``docs/estimators.md`` says when which of them is worth its time.
"""

from learnability.estimators.base import OtherVersionWarning
from learnability.estimators.features import CosineFeatures, GatedFeatures, ReluFeatures
from learnability.estimators.kernel_machines import KernelClassifier, KernelMachine
from learnability.estimators.leaky_relu import LeakyReluClassifier
from learnability.estimators.process import ProcessKernel
from learnability.estimators.resnet import ResNetRegressor
from learnability.estimators.sparse_parity import SparseParityClassifier
from learnability.estimators.symmetric import SymmetricClassifier

__all__ = [
    "CosineFeatures",
    "GatedFeatures",
    "KernelClassifier",
    "KernelMachine",
    "LeakyReluClassifier",
    "OtherVersionWarning",
    "ProcessKernel",
    "ReluFeatures",
    "ResNetRegressor",
    "SparseParityClassifier",
    "SymmetricClassifier",
]
