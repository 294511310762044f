"""Nothing that POSIX alone has is needed: every call of such has a fallback.

Other systems are posed as, by taking away what they have not; what they do otherwise is not seen so. And every file
is looked through for what they have not (``elsewhere.py``), which is not all: it knows a call by its name.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from elsewhere import absent, asked, unmarked

ROOT = Path(__file__).parents[1]
OWN = "tests/test_portability.py"
"""Its cases are what it looks for."""

ELSEWHERE = """
import os, signal, sys
# These know by themselves what a system has.
import asyncio, concurrent.futures, ctypes, multiprocessing, pathlib, platform, shutil, socket, subprocess, tempfile
import duckdb, joblib, matplotlib.figure, numba, pandas, psutil, scipy.stats, sklearn.datasets

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "pty", "tty", "syslog", "posix")
sys.meta_path.insert(0, Absent())
for name in MODULES:
    sys.modules.pop(name, None)
NAMES = {
    os: "fork forkpty killpg getpgid setpgid setsid sched_getaffinity mkfifo geteuid getuid getegid getgid chown "
        "uname getloadavg sysconf nice statvfs fchmod pread pwrite wait3 wait4 posix_spawn posix_fallocate "
        "getpriority O_NONBLOCK O_CLOEXEC O_DIRECTORY O_ASYNC O_NOFOLLOW O_SYNC O_DSYNC",
    signal: "pthread_sigmask sigwait alarm setitimer SIGHUP SIGUSR1 SIGUSR2 SIGALRM SIGSTOP SIGCONT SIGCHLD SIGPIPE",
}
for module, names in NAMES.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
os.name = "other"
"""
"""As ``sitecustomize``: what every Python process here begins with, the workers too."""


RUN = ["run", "symmetry/lemma3", "--scale", "smoke"]


@pytest.mark.parametrize(
    "commands",
    [
        [RUN, ["report"]],
        [[*RUN, "--workers", "2", "--task-timeout", "600"]],
        [["certify", "t.csv", "--label", "class"]],
        [["verify", "symmetry/lemma2", "--scale", "smoke"]],
    ],
    ids=["here", "workers", "certify", "verify"],
)
def test_nothing_that_posix_alone_has_is_needed(tmp_path, commands):
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE, encoding="utf-8")
    (tmp_path / "t.csv").write_text("a,b,class\n0,1,no\n1,0,yes\n2,0.5,yes\n0.5,2,no\n")
    for command in commands:
        ended = subprocess.run(
            [sys.executable, "-m", "learnability", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "LEARNABILITY_DEBUG": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stderr
        assert "sitecustomize" not in ended.stderr  # it was done


def test_commands_of_tools_and_tests_of_them_start_where_there_is_no_posix(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE + "del signal.SIGKILL\n", encoding="utf-8")
    lines = {
        ast.unparse(node)
        for tree in parsed("tests").values()
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tools")
    }
    assert "from tools.survive.watched import Watch, read" in lines
    commands = [
        file.removesuffix(".py").replace("/", ".")
        for file in parsed("tools")
        if file.endswith("__main__.py") or (file.count("/") == 1 and "__init__" not in file)
    ]
    script = "\n".join(
        ["import sys", *lines, f"import {', '.join(commands)}", f"sys.exit({ASKS_FIRST}.__main__.main([]))"]
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.stderr == "python -m tools.survive needs Linux: there is no fcntl here\n"
    assert (ended.returncode, ended.stdout) == (1, "")


ASKS_FIRST = "tools.survive"
"""A command that asks at its start for what it needs, and does nothing without."""

FALLS_BACK = {
    "src/learnability/memory.py: '/sys/fs/cgroup'": "who reads there takes an OSError for no limit",
    "src/learnability/memory.py: '/proc/self/cgroup'": "who reads there takes an OSError for no limit",
    "src/learnability/sweep/process.py: pass_fds=": "no file is passed where os.name is not posix",
    "tools/least_memory.py: the program bash": "it is about a limit that POSIX alone has, and says so at its start",
}
"""What is found and has its fallback at another place, and which."""

CASES = {
    "import fcntl": ["import fcntl"],
    "import os\nos.fork()": ["os.fork"],
    "from os import sched_getaffinity": ["os.sched_getaffinity"],
    "import os\nif hasattr(os, 'fork'):\n    os.fork()": [],
    "import os\nos.name != 'posix' or os.getuid()": [],
    "import os\nos.getuid() or os.name != 'posix'": ["os.getuid"],
    "import sys\nif sys.platform == 'linux':\n    import fcntl": [],
    "try:\n    import resource\nexcept ImportError:\n    pass": [],
    "try:\n    import resource\nexcept ValueError:\n    pass": ["import resource"],
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.alarm(1)": ["signal.alarm"],
    "import os\nos.replace, getattr(os, 'pread', 0), os.pread": ["os.pread"],
    "import subprocess\nsubprocess.run(['sh', '-c', 'true'], preexec_fn=print)": ["the program sh", "preexec_fn="],
    "open('/dev/null')": ["'/dev/null'"],
    "import os\nif os.path.exists('/proc/cpuinfo'):\n    open('/proc/cpuinfo')": [],
    "'import os; os.getloadavg()'": ["os.getloadavg in a string"],
    "'and/or, https://example.org/tmp, read from /'": [],
}


@pytest.mark.parametrize("code", CASES)
def test_the_walk_finds_what_a_system_has_not(code):
    assert [one.what for one in asked(ast.parse(code))] == CASES[code]


def test_which_names_a_system_has_is_read_off_the_stubs():
    assert absent("fcntl", "win32") is None
    assert "fcntl" not in absent("fcntl", "darwin")
    assert {"fork", "killpg", "getloadavg", "mkfifo"} <= absent("os", "win32")
    assert not {"replace", "fsync", "getpid", "open", "kill"} & absent("os", "win32")
    assert "sched_getaffinity" in absent("os", "darwin")
    assert not any(hasattr(os, name) for name in absent("os", sys.platform) or ())


@cache
def parsed(*folders):
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def test_every_call_that_a_system_has_not_has_a_fallback():
    found = [
        f"{file}: {one.what}"
        for file, tree in {**parsed("src"), **parsed("benchmarks", "examples", "tools")}.items()
        if not file.startswith(ASKS_FIRST.replace(".", "/"))
        for one in asked(tree)
    ]
    assert found == list(FALLS_BACK)


def test_text_has_its_encoding():
    """Windows takes another one than UTF-8 where none is named."""
    bare = []
    for file, tree in parsed("src").items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            named = {word.arg for word in call.keywords}
            match call.func:
                case ast.Attribute(attr="read_text" | "write_text" as name):
                    told = "encoding" in named or len(call.args) > (name == "write_text")
                    bare += [] if told else [f"{file}:{call.lineno}"]
                case ast.Name(id="open") | ast.Attribute(value=ast.Name(id="io" | "path"), attr="open"):
                    binary = any(isinstance(one, ast.Constant) and "b" in str(one.value) for one in call.args)
                    bare += [] if "encoding" in named or binary else [f"{file}:{call.lineno}"]
                case ast.Attribute(value=ast.Name(id="subprocess")) if named & {"text", "universal_newlines"}:
                    bare += [] if "encoding" in named else [f"{file}:{call.lineno}"]
    assert not bare


def test_tests_that_need_posix_are_marked():
    tests = {
        Path(file).stem: tree for file, tree in parsed("tests").items() if file not in ("tests/elsewhere.py", OWN)
    }
    assert not list(unmarked(tests))
    needy = "import os\nX = os.getuid\ndef helper(): X()\ndef test_a(): helper()\n"
    mark = "@pytest.mark.skipif(os.name != 'posix', reason='users')\n"
    marked = needy.replace("def test_a", mark + "def test_a")
    other = "def test_b(): helping.helper()\n"
    found = unmarked({"helping": ast.parse(marked), "b": ast.parse(other)})
    assert list(found) == ["b::test_b: os.getuid (line 2)"]
