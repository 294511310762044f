"""Environments in which commands have failed that were right: none of them is the user's fault.

Several settings that do not meet stand in one process. Where they change no row, the table is that of a usual run.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from learnability import memory
from learnability.cli import surroundings

resource = pytest.importorskip("resource", reason="limits of a process are no other system's")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="environments of a POSIX shell")

LEFT_OUT = ("LEARNABILITY_DEBUG", "COLUMNS", "XLA_FLAGS", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "NUMBA_DISABLE_JIT")
DATA = "größe,b,label\n" + "".join(f"{i + 40 * (i > 9)},{i % 3},{'jää' if i > 9 else 'naïve'}\n" for i in range(20))


def command(
    *arguments,
    cwd,
    program="learnability",
    code="",
    limits=(),
    umask=0o022,
    closed="",
    user=None,
    number=None,
    **environment,
):
    """A command line in a process of its own; None takes a variable away."""
    import toys

    surroundings = {name: value for name, value in toys.environment().items() if name not in LEFT_OUT}
    for name, value in environment.items():
        surroundings.pop(name, None)
        if value is not None:
            surroundings[name] = value

    def settle():
        os.umask(umask)
        if number is not None:
            os.setreuid(number, -1)
        for kind, size in limits:
            resource.setrlimit(kind, (size, size))

    line = [sys.executable, *(["-c", code] if code else ["-m", program]), *map(str, arguments)]
    if closed:
        line = ["sh", "-c", f'exec "$@" {closed}', "sh", *line]
    return subprocess.run(
        line, cwd=cwd, env=surroundings, preexec_fn=settle, capture_output=True, timeout=600, user=user, group=user,
        extra_groups=None if user is None else [],
    )  # fmt: skip


def well(done):
    errors = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, errors
    assert "Traceback" not in errors
    return done.stdout


OWN = r'''
"""Gains in $ of x_1 <b>, as users name things: neither mathematics nor markup."""

from learnability.plotting import Panel, Plot, over_seeds
from learnability.study import Check, Experiment, Scale
from learnability.theory import Guarantee, Kind


def run(setting, seed):
    return [{"step": step, "gain_$": float(step * setting["n$_1"] + seed)} for step in range(3)]


def figure(table):
    curves = [over_seeds(part, "step", "gain_$", label=f"$x_{n} <b>$ \\frac{{") for n, part in table.groupby("n$_1")]
    return Plot([Panel(curves, xlabel="step_$ <b>", ylabel="gain_$", title="a $ and a _")])


def claims(table):
    return [Guarantee("gain[$x_1 <b>]", "Nobody", Kind.UPPER_BOUND, 100.0, float(table["gain_$"].max()))]


def bounded(scale):
    return [Guarantee("own/bounded", "Nobody", Kind.UPPER_BOUND, 1.0, 0.5)]


scale = Scale([{"n$_1": 1}, {"n$_1": 2}], seeds=2, seconds=1)
EXPERIMENT = Experiment(title="Gains in $ of x_1 <b>", run=run, figure=figure, claims=claims, scales=scale)
CHECKS = (Check("bounded", "Nobody, Lemma 1", bounded),)
'''
COMMANDS = {
    "run": ["run", "{place}/own.py", "--out", "{place}/out", "--workers", "1"],
    "run, two workers": ["run", "{place}/own.py", "--out", "{place}/two", "--workers", "2", "--json"],
    "verify": ["verify", "{place}/own.py", "symmetry/lemma2", "--scale", "smoke", "--out", "{place}/out"],
    "explain": ["explain", "{place}/own.py"],
    "report": ["report", "--out", "{place}/out"],
}
ALL = """
import json, os, sys
from learnability import cli

commands, statuses = json.loads(sys.argv[1]), {}
if sys.argv[2]:
    os.rmdir(os.getcwd())
for name, arguments in commands.items():
    sys.argv = ["learnability", *arguments]
    print(f"<{name}>", flush=True)
    try:
        cli.main()
    except SystemExit as ended:
        statuses[name] = ended.code
print(json.dumps(statuses))
"""
"""Every command, one after the other: starting Python and loading libraries takes longer than they do."""

ENOUGH = [(resource.RLIMIT_AS, 2**31)]
"""What the documentation says of ``ulimit -v``: with a thread of OpenBLAS for each core, and with one."""

ENVIRONMENTS = {
    "foreign language, no colours, tight umask": {
        "LC_ALL": "de_DE.UTF-8", "TZ": "Mars/Olympus", "NO_COLOR": "1", "TERM": "dumb", "umask": 0o077,
        "PYTHONHASHSEED": "7", "closed": "<&-", "COLUMNS": "wide", "limits": ENOUGH, "OPENBLAS_NUM_THREADS": None,
        "OMP_NUM_THREADS": None,
    },
    "warnings are errors, threads without sense, no JAX": {
        "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "many", "OPENBLAS_NUM_THREADS": "0", "NUMBA_NUM_THREADS": "64",
        "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "nowhere", "XLA_FLAGS": "--nonsense",
    },
    "no home, no place for temporary files or compiled code, docstrings dropped": {
        "HOME": None, "XDG_CACHE_HOME": None, "TMPDIR": "/nonexistent/place", "PYTHONOPTIMIZE": "2",
        "NUMBA_CACHE_DIR": "/dev/null/none",
    },
    "a home that is none, ASCII, temporary files where none can be": {
        "HOME": "/dev/null", "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "TMPDIR": "/proc",
    },
    "a notebook's backend, its matplotlibrc, nothing compiled": {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": "{place}/matplotlibrc",
        "NUMBA_DISABLE_JIT": "1",
    },
    "a folder that is gone, temporary files on a full disk": {
        "gone": True, "TMPDIR": "{full}", "limits": ENOUGH, "OPENBLAS_NUM_THREADS": "1",
    },
    "a user that the system does not know, without a home": {
        "HOME": None, "XDG_CACHE_HOME": None, "USER": None, "LOGNAME": None, "user": 54321,
    },
}  # fmt: skip


def all_commands(place, *, gone=False, **environment):
    """Status and output of every command, in one process; the place holds the user's file and what comes of it."""
    (place / "own.py").write_text(OWN, encoding="utf-8")
    (place / "matplotlibrc").write_text("text.usetex: True\nfont.family: nothing\nbackend: nonsense\n")
    (place / "here").mkdir()
    commands = {name: [word.format(place=place) for word in line] for name, line in COMMANDS.items()}
    told = [json.dumps(commands), "gone" if gone else ""]
    done = well(command(*told, cwd=place / "here", code=ALL, **environment)).decode("utf-8", "replace")
    *_, statuses = done.splitlines()
    assert json.loads(statuses) == dict.fromkeys(COMMANDS, 0), done
    for name in COMMANDS:
        assert f"<{name}>" in done
    assert "1 result" not in done.partition("<report>")[2], "a figure and two studies of statements"
    for folder in ("out", "two"):
        (result,) = (place / folder / "own/figure").iterdir()
        assert (result / "figure.png").stat().st_size > 1000
        yield (result / "table.parquet").read_bytes()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    one, two = all_commands(tmp_path_factory.mktemp("usual"))
    assert one == two
    return one


@pytest.fixture
def full(tmp_path):
    """A disk without room, where one can be had; else a folder that is none."""
    place = tmp_path / "full"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", place], capture_output=True).returncode:
        yield place / "none"
        return
    try:
        (place / "file").write_bytes(bytes(4096))
        with pytest.raises(OSError, match="No space"):
            (place / "more").write_bytes(b"blat")
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def open_place(tmp_path):
    """A folder that every user may enter and write to, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        yield Path(place)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_command_works_and_rows_are_the_same(name, usual, tmp_path, full, open_place):
    settings, place = dict(ENVIRONMENTS[name]), tmp_path
    if user := settings.get("user"):
        if os.getuid():
            pytest.skip("another user cannot be had")
        place = open_place
        if not can_run(
            user
        ):  # an installation in root's home: root, but under a number that the system does not know
            settings["number"] = settings.pop("user")
    settings = {
        key: value.format(place=place, full=full) if isinstance(value, str) else value
        for key, value in settings.items()
    }
    assert list(all_commands(place, **settings)) == [usual, usual]


def can_run(user):
    """Whether another user can read this installation."""
    import toys

    line = [sys.executable, "-c", "import learnability, toys, numpy"]
    environment = {**toys.environment(), "HOME": "/"}
    try:
        done = subprocess.run(line, cwd="/", env=environment, user=user, group=user, capture_output=True, timeout=600)
    except PermissionError:
        return False
    return done.returncode == 0


BAR = """
import sys
from pathlib import Path

import duckdb
from learnability.datasets.parquet_file import ParquetSource
from learnability.results.parquet import in_memory, parquet
import pandas as pd

Path("table.parquet").write_bytes(parquet(pd.DataFrame({"x": [1.0]})))
source = ParquetSource.__new__(ParquetSource)
source.path, source.name = Path("table.parquet"), "table"
with in_memory() as (ours, _), source._open(1e8) as other, duckdb.connect() as usual:
    for connection in (usual, ours, other):
        print(*connection.execute("SELECT current_setting('enable_progress_bar')").fetchone())
"""


def test_no_bar_of_progress_comes_on_stdout(tmp_path):
    usual, *ours = well(command(cwd=tmp_path, code=BAR)).decode().split()
    assert usual == "True", "under python -c DuckDB shows one after two seconds"
    assert ours == ["False", "False"]


@pytest.mark.parametrize(("encoding", "form"), [("ascii", "--json"), ("cp1252", "--verbose")])
def test_a_stream_that_is_no_utf_8_costs_no_result(encoding, form, tmp_path):
    (tmp_path / "größe.csv").write_text(DATA, encoding="utf-8")
    asked = ("certify", "größe.csv", "--label", "label", "--width", "10", "--repeats", "1", "--out", "out", form)
    text = well(command(*asked, cwd=tmp_path, PYTHONIOENCODING=encoding)).decode(encoding)
    if form == "--json":
        assert json.loads(text)["source"].endswith("größe.csv")
    else:
        assert "größe" in text


def test_explain_and_help_are_the_same_without_docstrings(tmp_path):
    for asked in (("explain", "symmetry/fig5"), ("certify", "--help")):
        plain, bare = (well(command(*asked, cwd=tmp_path, PYTHONOPTIMIZE=level)) for level in (None, "2"))
        assert plain == bare


def test_jax_that_does_not_start_is_one_line_with_its_cause_and_only_where_it_is_needed(tmp_path):
    pytest.importorskip("jax")
    asked = ("verify", "residual/fact-c4", "--scale", "smoke", "--out", "out")
    for setting, cause in (("JAX_PLATFORMS", "JAX_PLATFORMS=nowhere"), ("JAX_ENABLE_X64", "invalid truth value")):
        done = command(*asked, cwd=tmp_path, **{setting: "nowhere"})
        (line,) = done.stderr.decode().splitlines()
        assert (done.returncode, done.stdout) == (1, b"")
        assert line.startswith("learnability: residual/fact-c4 needs the extra jax, which does not work here: ")
        assert cause in line


def test_a_limit_below_what_libraries_need_is_said_before_they_are_loaded(tmp_path):
    commands = {name: [name, *arguments] for name, arguments in LEAST.items()}
    code = ALL.replace("statuses[name] =", "statuses[name], loaded =").replace(
        "ended.code", "ended.code, {'numpy', 'pandas', 'matplotlib'} & {*sys.modules}\n    assert not loaded"
    )
    limits = [(resource.RLIMIT_AS, 2**27)]
    done = command(json.dumps(commands), "", cwd=tmp_path, code=code, limits=limits)
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(commands, 1)
    told = done.stderr.decode().splitlines()
    for name, line in zip(commands, told, strict=True):
        assert line.startswith(f"learnability: `learnability {name}` needs ")
        assert line.endswith(" of address space at least; ulimit -v allows 134 MB")


LEAST = {
    "list": [],
    "explain": ["symmetry"],
    "record": [],
    "new": ["staircase"],
    "verify": ["symmetry/lemma2"],
    "run": ["symmetry/fig5"],
    "certify": ["data.csv", "--label", "label"],
}


@pytest.mark.parametrize(
    ("room", "given", "threads"), [(2**50, None, ""), (4e9, None, "21"), (4e9, "4", "4"), (6e8, "0", "1")]
)
def test_linear_algebra_gets_the_threads_that_there_is_room_for(room, given, threads, monkeypatch):
    for name, value in (("OPENBLAS_NUM_THREADS", given), ("OMP_NUM_THREADS", None)):
        monkeypatch.setenv(name, value or "")
    monkeypatch.setattr(os, "cpu_count", lambda: 100)
    monkeypatch.setattr(memory, "address_space", lambda: room)
    monkeypatch.setitem(surroundings.NEEDS, "run", 600)
    surroundings.make_room("run")
    assert os.environ["OPENBLAS_NUM_THREADS"] == threads
