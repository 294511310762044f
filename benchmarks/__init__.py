"""Benchmarks against other ways to write the same: ``learnability bench``, or ``python -m benchmarks.NAME``.

One numerical thread each: BLAS, JAX and PyTorch read these variables once, when they are first imported, and this
package is imported before them.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
