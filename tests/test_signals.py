"""Signals that come while something is stored: told afterwards, and nothing that has ended is lost."""

from __future__ import annotations

import signal
import threading

import pytest

from learnability import signals
from learnability.runner import loop
from learnability.sweep import Batch


@pytest.fixture(autouse=True)
def handlers():
    """The command line's, and afterwards those of before."""
    usual = {number: signal.signal(number, signals.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)
    signals.forget()


def keeping(done, *events):
    """Something that is to be done whole: signals come, errors are raised, the rest is noted."""
    with signals.deferred():
        for event in events:
            if isinstance(event, signal.Signals):
                signal.raise_signal(event)
            elif isinstance(event, Exception):
                raise event
            else:
                done.append(event)


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, signals.Terminated)]
)
def test_a_signal_waits_until_all_is_stored(number, told):
    done = []
    with pytest.raises(told):
        keeping(done, number, "after it")
    assert done == ["after it"]
    assert signals.came() == number


def test_a_second_one_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt):
        keeping(done, signal.SIGINT, "after one", signal.SIGINT, "after two")
    assert done == ["after one"]
    assert signal.getsignal(signal.SIGINT) is signals.stop


def test_an_error_meanwhile_hides_no_signal():
    with pytest.raises(KeyboardInterrupt) as found:
        keeping([], signal.SIGINT, OSError("the disk is full"))
    assert isinstance(found.value.__context__, OSError)


def test_without_a_signal_and_in_other_threads_nothing_changes():
    with signals.deferred():
        pass
    assert signal.getsignal(signal.SIGINT) is signals.stop
    found = []

    def elsewhere():
        with signals.deferred():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signals.stop]


class Taking:
    """In place of an experiment's run: keeps batches, and is interrupted while it takes the first."""

    def __init__(self) -> None:
        self.taken: list[Batch] = []

    def take(self, batch):
        with signals.deferred():
            if not self.taken:
                signal.raise_signal(signal.SIGINT)
            self.taken.append(batch)


def test_what_has_ended_is_stored_when_ctrl_c_comes_while_something_is(toy_laboratory):
    import toys
    from learnability.sweep import Finished

    task = toys.tasks(toys.TOYS["toy/walk"], "smoke")[0]
    one, two, three = (Batch([Finished(task, [{"x": n}], None, 0.1)], {}, 0) for n in range(3))

    def sweep():
        try:
            yield one
        except BaseException:  # as the sweep does where something stops it
            yield two
            yield three
            raise

    run = Taking()

    def store():
        with loop._keeping(batches := sweep(), {task.experiment: run}):
            for batch in batches:
                run.take(batch)

    with pytest.raises(KeyboardInterrupt):
        store()
    assert run.taken == [one, two, three]
