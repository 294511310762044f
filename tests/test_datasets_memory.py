"""A table that does not fit is refused before it is read, whichever limit it is that leaves too little."""

import subprocess
import sys


def test_a_table_too_large_for_ulimit_is_refused_in_one_line(tmp_path):
    path = tmp_path / "zeros.csv"
    row = ",".join(["0.5"] * 400)
    lines = [",".join(f"x{j}" for j in range(400)) + ",label", *(f"{row},{i % 2}" for i in range(20_000))]
    path.write_text("\n".join(lines))
    command = (
        "import resource, psutil\n"
        "import numpy, pandas, duckdb\n"
        "from learnability.datasets import read_table\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000, resource.RLIM_INFINITY))\n"
        f"read_table({str(path)!r}, 'label')\n"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("learnability.errors.RequestError: zeros.csv needs "), done.stderr
    assert "that are available" in last
