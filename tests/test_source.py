"""The digest of what a task reaches: a change that matters is never missed, one that does not costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from learnability import discovery, source

HEAD = (
    "import dataclasses\nimport functools\n\nimport numpy as np\n\n"
    "from learnability.study import Experiment, Scale, grid\n"
)
TAIL = "\nEXPERIMENT = Experiment(title='t', run=run, scales=Scale(grid(n=[1]), seeds=1, seconds=1))\n"

# name: files, (file, before, after), whether the digest must change
CASES = {
    'decorator_body': (
        {
            'e.py': (
                'def dec(f):\n'
                '    @functools.wraps(f)\n'
                '    def inner(*a):\n'
                '        return 2*f(*a)\n'
                '    return inner\n'
                '@dec\n'
                'def h(x):\n'
                '    return x\n'
                'def run(s, seed):\n'
                "    return [{'v': h(1)}]\n"
            ),
        },
        ('e.py', '2*f', '3*f'),
        True,
    ),
    'decorator_on_run': (
        {
            'e.py': (
                'def dec(f):\n'
                '    @functools.wraps(f)\n'
                '    def inner(*a):\n'
                "        return [{'v': 2}]\n"
                '    return inner\n'
                '@dec\n'
                'def run(s, seed):\n'
                "    return [{'v': 1}]\n"
            ),
        },
        ('e.py', "'v': 2", "'v': 3"),
        True,
    ),
    'cached_property': (
        {
            'e.py': (
                'class C:\n'
                '    @functools.cached_property\n'
                '    def w(self):\n'
                '        return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': C().w}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'default_factory': (
        {
            'e.py': (
                '@dataclasses.dataclass\n'
                'class C:\n'
                '    w: list = dataclasses.field(default_factory=lambda: [2])\n'
                'def run(s, seed):\n'
                "    return [{'v': C().w[0]}]\n"
            ),
        },
        ('e.py', '[2]', '[3]'),
        True,
    ),
    'class_attr_array': (
        {
            'e.py': (
                'class C:\n'
                '    w = np.arange(5000)\n'
                '    w[2500] = 7\n'
                'def run(s, seed):\n'
                "    return [{'v': C.w[2500]}]\n"
            ),
        },
        ('e.py', '= 7', '= 8'),
        True,
    ),
    'class_attr_obj': (
        {
            'e.py': (
                'class D:\n'
                '    def f(self): return 2\n'
                'class C:\n'
                '    d = D()\n'
                'def run(s, seed):\n'
                "    return [{'v': C.d.f()}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'class_nested': (
        {
            'e.py': (
                'class C:\n'
                '    class D:\n'
                '        def f(self): return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': C.D().f()}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'class_attr_partial': (
        {
            'e.py': (
                'def g(a, b): return a*b\n'
                'class C:\n'
                '    p = functools.partial(g, 2)\n'
                'def run(s, seed):\n'
                "    return [{'v': C.p(1)}]\n"
            ),
        },
        ('e.py', '(g, 2)', '(g, 3)'),
        True,
    ),
    'method_default_const': (
        {
            'e.py': (
                'K = 2\n'
                'class C:\n'
                '    def f(self, k=K): return k\n'
                'def run(s, seed):\n'
                "    return [{'v': C().f()}]\n"
            ),
        },
        ('e.py', 'K = 2', 'K = 3'),
        True,
    ),
    'method_decorated': (
        {
            'e.py': (
                'def dec(f):\n'
                '    @functools.wraps(f)\n'
                '    def inner(*a):\n'
                '        return 2*f(*a)\n'
                '    return inner\n'
                'class C:\n'
                '    @dec\n'
                '    def f(self): return 1\n'
                'def run(s, seed):\n'
                "    return [{'v': C().f()}]\n"
            ),
        },
        ('e.py', '2*f', '3*f'),
        True,
    ),
    'method_decorated_nowraps': (
        {
            'e.py': (
                'def dec(f):\n'
                '    def inner(*a):\n'
                '        return 2*f(*a)\n'
                '    return inner\n'
                'class C:\n'
                '    @dec\n'
                '    def f(self): return 1\n'
                'def run(s, seed):\n'
                "    return [{'v': C().f()}]\n"
            ),
        },
        ('e.py', 'return 1', 'return 3'),
        True,
    ),
    'class_const_in_init': (
        {
            'e.py': (
                'K = 2\n'
                'class C:\n'
                '    def __init__(self): self.k = K\n'
                'def run(s, seed):\n'
                "    return [{'v': C().k}]\n"
            ),
        },
        ('e.py', 'K = 2', 'K = 3'),
        True,
    ),
    'class_base': (
        {
            'e.py': (
                'class B:\n'
                '    def f(self): return 2\n'
                'class C(B):\n'
                '    pass\n'
                'def run(s, seed):\n'
                "    return [{'v': C().f()}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'metaclass': (
        {
            'e.py': (
                'class M(type):\n'
                '    def f(cls): return 2\n'
                'class C(metaclass=M):\n'
                '    pass\n'
                'def run(s, seed):\n'
                "    return [{'v': C.f()}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'import_pkg_sub': (
        {
            'e.py': (
                'import pk.sub\n'
                'def run(s, seed):\n'
                "    return [{'v': pk.sub.f()}]\n"
            ),
            'pk/__init__.py': (
                ''
            ),
            'pk/sub.py': (
                'def f(): return 2\n'
            ),
        },
        ('pk/sub.py', 'return 2', 'return 3'),
        True,
    ),
    'import_pkg_sub_as': (
        {
            'e.py': (
                'import pk.sub as q\n'
                'def run(s, seed):\n'
                "    return [{'v': q.f()}]\n"
            ),
            'pk/__init__.py': (
                ''
            ),
            'pk/sub.py': (
                'def f(): return 2\n'
            ),
        },
        ('pk/sub.py', 'return 2', 'return 3'),
        True,
    ),
    'nested_helper': (
        {
            'e.py': (
                'from pk.sub import f\n'
                'def run(s, seed):\n'
                "    return [{'v': f()}]\n"
            ),
            'pk/__init__.py': (
                ''
            ),
            'pk/sub.py': (
                'from .deep import g\n'
                'def f(): return g()\n'
            ),
            'pk/deep.py': (
                'def g(): return 2\n'
            ),
        },
        ('pk/deep.py', 'return 2', 'return 3'),
        True,
    ),
    'local_import': (
        {
            'e.py': (
                'def run(s, seed):\n'
                '    from pk.sub import f\n'
                "    return [{'v': f()}]\n"
            ),
            'pk/__init__.py': (
                ''
            ),
            'pk/sub.py': (
                'from .deep import g\n'
                'def f(): return g()\n'
            ),
            'pk/deep.py': (
                'def g(): return 2\n'
            ),
        },
        ('pk/deep.py', 'return 2', 'return 3'),
        True,
    ),
    'jax_argnums': (
        {
            'e.py': (
                'import jax\n'
                'def loss(a, b): return a*a*b\n'
                'g = jax.grad(loss, argnums=0)\n'
                'def run(s, seed):\n'
                "    return [{'v': float(g(1., 3.))}]\n"
            ),
        },
        ('e.py', 'argnums=0', 'argnums=1'),
        True,
    ),
    'jax_vmap_axes': (
        {
            'e.py': (
                'import jax, jax.numpy as jnp\n'
                'def loss(a, b): return a@b\n'
                'g = jax.vmap(loss, in_axes=(0,None))\n'
                'def run(s, seed):\n'
                "    return [{'v': float(g(np.eye(2), np.ones(2)).sum())}]\n"
            ),
        },
        ('e.py', '(0,None)', '(1,None)'),
        True,
    ),
    'numba_vectorize': (
        {
            'e.py': (
                'import numba\n'
                "@numba.vectorize(['float64(float64)'])\n"
                'def f(x): return x*2\n'
                'def run(s, seed):\n'
                "    return [{'v': f(1.)}]\n"
            ),
        },
        ('e.py', 'x*2', 'x*3'),
        True,
    ),
    'numba_njit_calls': (
        {
            'e.py': (
                'import numba\n'
                '@numba.njit\n'
                'def k(x): return x*2\n'
                '@numba.njit\n'
                'def f(x): return k(x)\n'
                'def run(s, seed):\n'
                "    return [{'v': f(1.)}]\n"
            ),
        },
        ('e.py', 'x*2', 'x*3'),
        True,
    ),
    'dataframe_big': (
        {
            'e.py': (
                'import pandas as pd\n'
                "D = pd.DataFrame({'a': np.arange(500), 'b': ['x']*500})\n"
                "D.loc[250, 'a'] = 7\n"
                'def run(s, seed):\n'
                "    return [{'v': D.a[250]}]\n"
            ),
        },
        ('e.py', '= 7', '= 8'),
        True,
    ),
    'sparse': (
        {
            'e.py': (
                'import scipy.sparse as sp\n'
                'D = sp.csr_matrix(np.diag([1.,2.]))\n'
                'def run(s, seed):\n'
                "    return [{'v': D.sum()}]\n"
            ),
        },
        ('e.py', '2.]', '3.]'),
        True,
    ),
    'objarray': (
        {
            'e.py': (
                'D = np.array([None]*2000+[1]+[None]*2000, dtype=object)\n'
                'def run(s, seed):\n'
                "    return [{'v': D[2000]}]\n"
            ),
        },
        ('e.py', '+[1]+', '+[2]+'),
        True,
    ),
    'lambda_twice_comment': (
        {
            'e.py': (
                '#here\n'
                'sq = lambda x: x*x\n'
                'def a(): return sq(1)\n'
                'def b(): return sq(2)\n'
                'def run(s, seed):\n'
                "    return [{'v': a()+b()+sq(1)}]\n"
            ),
        },
        ('e.py', '#here', '#here\n#more\n'),
        False,
    ),
    'closure_twice_comment': (
        {
            'e.py': (
                '#here\n'
                'def mk(k):\n'
                '    def inner(x): return k*x\n'
                '    return inner\n'
                'sq = mk(2)\n'
                'def a(): return sq(1)\n'
                'def b(): return sq(2)\n'
                'def run(s, seed):\n'
                "    return [{'v': a()+b()+sq(1)}]\n"
            ),
        },
        ('e.py', '#here', '#here\n#more\n'),
        False,
    ),
    'lambda_dict': (
        {
            'e.py': (
                "F = {'a': lambda x: 2*x, 'b': lambda x: x}\n"
                'def run(s, seed):\n'
                "    return [{'v': F['a'](1)}]\n"
            ),
        },
        ('e.py', '2*x', '3*x'),
        True,
    ),
    'partial_const': (
        {
            'e.py': (
                'def g(a, b): return a*b\n'
                'p = functools.partial(g, 2)\n'
                'def run(s, seed):\n'
                "    return [{'v': p(1)}]\n"
            ),
        },
        ('e.py', '(g, 2)', '(g, 3)'),
        True,
    ),
    'figure_edit': (
        {
            'e.py': (
                'def run(s, seed):\n'
                "    return [{'v': 1}]\n"
                'def figure(t):\n'
                '    return 1\n'
            ),
        },
        ('e.py', 'return 1', 'return 2'),
        False,
    ),
    'docstring': (
        {
            'e.py': (
                'def run(s, seed):\n'
                '    "doc"\n'
                "    return [{'v': 1}]\n"
            ),
        },
        ('e.py', 'doc', 'docu'),
        False,
    ),
    'docstring_lambda_nested': (
        {
            'e.py': (
                'class C:\n'
                '    "doc"\n'
                '    def f(self):\n'
                '        "doc"\n'
                '        return 1\n'
                'def run(s, seed):\n'
                "    return [{'v': C().f()}]\n"
            ),
        },
        ('e.py', 'doc', 'docu'),
        False,
    ),
    'docstring_class_decor': (
        {
            'e.py': (
                '@dataclasses.dataclass\n'
                'class C:\n'
                '    "doc"\n'
                '    a: int = 1\n'
                'def run(s, seed):\n'
                "    return [{'v': C().a}]\n"
            ),
        },
        ('e.py', 'doc', 'docu'),
        False,
    ),
    'helper_docstring': (
        {
            'e.py': (
                'import hh\n'
                'def run(s, seed):\n'
                "    return [{'v': hh.f()}]\n"
            ),
            'hh.py': (
                '"doc"\n'
                'def f():\n'
                '    "doc"\n'
                '    return 1 # c\n'
            ),
        },
        ('hh.py', 'doc', 'docu'),
        False,
    ),
    'figure_in_class_same': (
        {
            'e.py': (
                'def run(s, seed):\n'
                "    return [{'v': 1}]\n"
                'def claims(t):\n'
                '    return []\n'
            ),
        },
        ('e.py', 'return []', 'return [ ]'),
        False,
    ),
    'slots': (
        {
            'e.py': (
                'class C:\n'
                "    __slots__=('a',)\n"
                '    def __init__(self, a): self.a=a\n'
                'c = C(2)\n'
                'def run(s, seed):\n'
                "    return [{'v': c.a}]\n"
            ),
        },
        ('e.py', 'C(2)', 'C(3)'),
        True,
    ),
    'default_run_arg': (
        {
            'e.py': (
                'K=2\n'
                'def run(s, seed, k=K):\n'
                "    return [{'v': k}]\n"
            ),
        },
        ('e.py', 'K=2', 'K=3'),
        True,
    ),
    'enum': (
        {
            'e.py': (
                'import enum\n'
                'class E(enum.Enum):\n'
                '    A=2\n'
                'def run(s, seed):\n'
                "    return [{'v': E.A.value}]\n"
            ),
        },
        ('e.py', 'A=2', 'A=3'),
        True,
    ),
    'namedtuple_method': (
        {
            'e.py': (
                'from typing import NamedTuple\n'
                'class E(NamedTuple):\n'
                '    a: int = 1\n'
                '    def f(self): return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': E().f()}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'instance_of_local': (
        {
            'e.py': (
                'class C:\n'
                '    def __init__(self, k): self.k=k\n'
                "    def __repr__(self): return 'C'\n"
                'c = C(2)\n'
                'def run(s, seed):\n'
                "    return [{'v': c.k}]\n"
            ),
        },
        ('e.py', 'C(2)', 'C(3)'),
        True,
    ),
    'callable_instance_run': (
        {
            'e.py': (
                'class C:\n'
                '    def __init__(self, k): self.k=k\n'
                "    def __call__(self, s, seed): return [{'v': self.k*2}]\n"
                'run = C(2)\n'
            ),
        },
        ('e.py', 'k*2', 'k*3'),
        True,
    ),
    'comprehension': (
        {
            'e.py': (
                'def h(): return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': h()} for _ in range(1)]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'singledispatch': (
        {
            'e.py': (
                '@functools.singledispatch\n'
                'def h(x): return 1\n'
                '@h.register\n'
                'def _(x: int): return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': h(1)}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'property_setter': (
        {
            'e.py': (
                'class C:\n'
                '    @property\n'
                '    def a(self): return self._a\n'
                '    @a.setter\n'
                '    def a(self, v): self._a = 2*v\n'
                'def run(s, seed):\n'
                '    c=C(); c.a=1\n'
                "    return [{'v': c.a}]\n"
            ),
        },
        ('e.py', '2*v', '3*v'),
        True,
    ),
    'lru_cache': (
        {
            'e.py': (
                '@functools.lru_cache\n'
                'def h(x): return 2\n'
                'def run(s, seed):\n'
                "    return [{'v': h(1)}]\n"
            ),
        },
        ('e.py', 'return 2', 'return 3'),
        True,
    ),
    'jit_lambda': (
        {
            'e.py': (
                'import jax\n'
                'f = jax.jit(lambda x: x*2)\n'
                'def run(s, seed):\n'
                "    return [{'v': float(f(1.))}]\n"
            ),
        },
        ('e.py', 'x*2', 'x*3'),
        True,
    ),
    'module_attr_chain': (
        {
            'e.py': (
                'import hh\n'
                'def run(s, seed):\n'
                "    return [{'v': hh.C.w}]\n"
            ),
            'hh.py': (
                'class C:\n'
                '    w=2\n'
            ),
        },
        ('hh.py', 'w=2', 'w=3'),
        True,
    ),
    'star': (
        {
            'e.py': (
                'from hh import *\n'
                'def run(s, seed):\n'
                "    return [{'v': w}]\n"
            ),
            'hh.py': (
                'w=2\n'
            ),
        },
        ('hh.py', 'w=2', 'w=3'),
        True,
    ),
    'rng_const': (
        {
            'e.py': (
                'from learnability.problems.symmetry import HammingWeights\n'
                'D = HammingWeights((0.5,0.25,0.25))\n'
                'def run(s, seed):\n'
                "    return [{'v': D.probabilities[0] if hasattr(D,'probabilities') else 1}]\n"
            ),
        },
        ('e.py', '(0.5,0.25,0.25)', '(0.25,0.5,0.25)'),
        True,
    ),
    'none_edit': (
        {
            'e.py': (
                'def run(s, seed):\n'
                "    return [{'v': 1}]\n"
            ),
        },
        ('e.py', "'v': 1", "'v':   1"),
        False,
    ),
}  # fmt: skip


def reached(folder):
    """The digest and the files of the experiment in a folder, read afresh, and that it runs."""
    (experiment,) = discovery.load(str(folder / "e.py")).experiments.values()
    rows = experiment.run({"n": 1}, 0)
    assert rows
    return source.reach(experiment.run)


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_rows_changes_the_digest_and_what_does_not_does_not(tmp_path, case):
    files, (name, before, after), changes = CASES[case]
    for path, text in files.items():
        place = tmp_path / path
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_text(HEAD + text + TAIL if path == "e.py" else text)
    first, again = reached(tmp_path), reached(tmp_path)
    assert first == again
    assert {path.name for path in first.files} >= {Path(path).name for path in files}
    text = (tmp_path / name).read_text()
    assert before in text
    (tmp_path / name).write_text(text.replace(before, after))
    assert (reached(tmp_path).digest != first.digest) is changes


def test_scripts_and_effects_count_only_where_they_matter(tmp_path):
    text = (
        HEAD + "functools.partial(print, 1)\nTABLE = {}\nTABLE['a'] = 1\n"
        "def run(s, seed):\n    return [{'v': TABLE['a']}]\n" + TAIL + "print(EXPERIMENT.title)\n"
    )
    digests = []
    for before, after in (
        ("", ""), ("print, 1", "print, 2"), ("TABLE['a'] = 1", "TABLE['a'] = 2"),
        ("print(EXPERIMENT.title)", "print(EXPERIMENT.source)"), ("title='t'", "title='u'"),
    ):  # fmt: skip
        (tmp_path / "e.py").write_text(text.replace(before, after) if before else text)
        digests.append(reached(tmp_path).digest)
    assert len(set(digests[:3])) == 3
    assert digests[3] == digests[4] == digests[0]


SESSION = """
import importlib, sys
sys.path.insert(0, ".")
import learnability, hlp
from learnability.study import Experiment, Scale, grid

def run(setting, seed):
    return [{"v": hlp.f()}]

E = Experiment(title="t", run=run, scales=Scale(grid(n=[1]), seeds=2, seconds=1))

def values(**options):
    found = learnability.run(E, out="o", **options)
    return found.tasks["run"], found.table["v"].tolist()

print(values(), values())
open("hlp.py", "w").write("def f():\\n    return 345678\\n")
try:
    values()
except ValueError as error:
    print(error)
importlib.reload(hlp)
print(values(), values(workers=2))
"""


def test_a_module_that_is_reloaded_in_a_session_counts_as_it_is(tmp_path):
    (tmp_path / "hlp.py").write_text("def f():\n    return 2\n")
    done = subprocess.run(
        [sys.executable, "-"], input=SESSION, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(2, [2, 2]) (0, [2, 2])",
        "hlp.py was changed since it was imported: reload it, or start afresh, so that what is run is what stands "
        "there",
        "(2, [345678, 345678]) (0, [345678, 345678])",
    ]


def test_a_helper_folder_needs_no_init_and_hides_no_installed_package(tmp_path):
    for name in ("ns", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "util.py").write_text("def f():\n    return 7\n")
    (tmp_path / "e.py").write_text(
        HEAD + "import ns.util\ndef run(s, seed):\n    return [{'v': ns.util.f()}]\n" + TAIL
    )
    assert {path.name for path in reached(tmp_path).files} == {"e.py", "util.py"}


def test_modules_of_a_package_travel_whole(tmp_path):
    (tmp_path / "here/hp").mkdir(parents=True)
    (tmp_path / "here/hp/__init__.py").write_text("")
    (tmp_path / "here/hp/other.py").write_text("def f():\n    return 7\n")
    (tmp_path / "here/e.py").write_text(
        HEAD + "import hp.other\ndef run(s, seed):\n    return [{'v': hp.other.f()}]\n" + TAIL
    )
    (experiment,) = discovery.load(str(tmp_path / "here/e.py")).experiments.values()
    import cloudpickle

    (tmp_path / "parcel").write_bytes(cloudpickle.dumps(source.Luggage.of(experiment.run)))
    (tmp_path / "here").rename(tmp_path / "away")
    code = "import sys, cloudpickle; print(cloudpickle.loads(open(sys.argv[1], 'rb').read()).unpack()({}, 0))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "parcel")], capture_output=True, text=True, timeout=300
    )
    assert (done.stdout.strip(), done.stderr) == ("[{'v': 7}]", "")
