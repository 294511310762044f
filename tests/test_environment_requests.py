"""A wrong request is what this package has checked itself; every other error is status 1 with its own cause."""

import pytest

from learnability import api, cli, memory
from learnability.errors import RequestError


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEARNABILITY_DEBUG", raising=False)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["learnability", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def raising(error):
    def fail(*arguments, **options):
        raise error

    return fail


DOORS = {
    "run": (["run", "symmetry/fig5"], api, "run_many"),
    "verify": (["verify", "symmetry/lemma3"], api, "verify_all"),
    "list": (["list", "symmetry"], api, "named"),
}


@pytest.mark.parametrize("command", list(DOORS))
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("array is too big"), 1, "ValueError: array is too big"),
        (EOFError("Ran out of input"), 1, "EOFError: Ran out of input"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "not in range"), 1, "UnicodeEncodeError: 'ascii' codec"),
        (KeyError("n"), 1, "KeyError: 'n'"),
        (RequestError("n must be >= 1, got 0"), 2, "n must be >= 1, got 0"),
    ],
    ids=["value", "end", "encoding", "key", "request"],
)
def test_status_2_is_for_what_we_checked_ourselves(call, monkeypatch, command, error, code, said):
    arguments, module, name = DOORS[command]
    monkeypatch.setattr(module, name, raising(error))
    status, out, err = call(*arguments)
    assert (status, out) == (code, "")
    (line,) = err.strip().splitlines()  # Click has an empty one before it where a file ends too early
    assert line.startswith(f"learnability: {said}")
    assert ("LEARNABILITY_DEBUG=1" in err) == (code == 1)


def test_memory_that_is_out_is_one_line_with_what_was_needed_and_what_there_is(call, monkeypatch):
    monkeypatch.setattr(memory, "_rooms", lambda: [(2e9, "")])
    monkeypatch.setattr(api, "run_many", raising(MemoryError("Unable to allocate 1.00 EiB")))
    status, out, err = call("run", "symmetry/fig5")
    needed = "out of memory: Unable to allocate 1.00 EiB; 2 GB are available to this process"
    assert (status, out) == (1, "")
    kept = "finished tasks are kept in learnability-results; the same command does the rest"
    assert err == f"learnability: {needed}: {kept}\n"


def test_a_wrong_request_is_still_a_value_error():
    with pytest.raises(ValueError, match="unknown experiment 'symmetry/fig55'"):
        api.run("symmetry/fig55")
    with pytest.raises(RequestError, match="seeds must be >= 1"):
        api.run("symmetry/fig5", seeds=0)
