"""The command line: ``learnability list | run | verify | certify | explain | report | record | new | bench``.

A thin layer over :mod:`learnability.api`: it parses, shows progress on stderr, prints the answer or JSON on stdout,
and turns outcomes into exit statuses: 0 the work was done, whatever the science says; 1 a task failed or something
broke, or a verdict differs from the record (with ``--strict`` also: a claim is violated); 2 the request was wrong;
130 interrupted (Ctrl-C); 143 terminated (SIGTERM); 141 the reader of the output has gone (as with ``| head``).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from learnability._version import __version__
from learnability.cli import surroundings
from learnability.cli.benchmarks import bench
from learnability.cli.certification import certify
from learnability.cli.explain import explain
from learnability.cli.laboratory import list_, report, verify
from learnability.cli.new import new
from learnability.cli.record import record
from learnability.cli.run import run
from learnability.cli.terminal import Stopped, complain, ended_by, exhausted
from learnability.errors import RequestError
from learnability.extras import MissingExtra
from learnability.signals import Terminated, came, forget, stop

__all__ = ["app", "main"]

# Nothing but typer is imported here and in the commands' modules: `learnability --help` must answer at once.


class _Command(TyperCommand):
    """A command that looks whether there is room for it when it is to begin."""

    def invoke(self, ctx: Any) -> Any:
        surroundings.make_room(str(self.name))
        return super().invoke(ctx)


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # panels would cut words where a terminal is narrow
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train networks exactly as the theorems describe, and put each guarantee beside what was measured.",
    epilog="Exit status: 0 the work was done, whatever the science says; 1 a task failed or something broke, or a "
    "verdict differs from the record (with --strict also: a claim is violated); 2 wrong request; 130 interrupted by "
    "Ctrl-C and 143 terminated by SIGTERM (finished tasks are kept); 141 the reader of the output has gone.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"learnability {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _help(command: Callable[..., None]) -> str | None:
    """What a command says of itself where Python has dropped its docstring (``-OO``)."""
    if command.__doc__:
        return None
    from learnability.source.text import documented

    return documented(command)  # type: ignore[arg-type]


app.command("list", cls=_Command, help=_help(list_))(list_)
for command in (run, verify, certify, explain, report, record, new):
    app.command(cls=_Command, help=_help(command))(command)
app.command(help=_help(bench), context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench)


def main() -> None:
    """Entry point. Every error is one line on stderr, unless ``LEARNABILITY_DEBUG`` is set."""
    surroundings.settle()
    forget()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell wants us deaf
            signal.signal(signal.SIGINT, stop)
    try:
        code = app(standalone_mode=False) or 0
        if code == 130:  # Typer makes Ctrl-C a status without a word, or lets it through
            raise KeyboardInterrupt
        sys.stdout.flush()
    except Stopped as stopped:
        complain(str(stopped))
        code = stopped.code
    except (KeyboardInterrupt, Terminated) as ended:
        word, code = ended_by(signal.SIGINT if isinstance(ended, KeyboardInterrupt) else signal.SIGTERM)
        complain(word)
    except (BrokenPipeError, SystemExit) as ended:
        # The reader of our output has gone, as `| head` does: Click and Rich make that a SystemExit, and so do
        # Typer's own options for completion, which end well. 141 is the shell's code for it.
        code = getattr(ended, "code", None)
        if isinstance(ended, BrokenPipeError) or isinstance(ended.__context__, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 141
    except Exception as error:
        if os.environ.get("LEARNABILITY_DEBUG"):
            raise
        if (number := came()) is not None:  # and a library has made an error of its own of it
            word, code = ended_by(number)
            complain(word)
        else:
            code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    """Say in one line what is wrong, and return the exit code."""
    # Typer's and Click's errors, whichever of the two defines them, know their own message; that of a call
    # without arguments is the help.
    if hasattr(error, "format_message"):
        message = str(error.format_message())
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message)
        else:
            complain(message)
        return 2
    if said := exhausted(error):
        complain(f"{said} (LEARNABILITY_DEBUG=1 shows the traceback)")
        return 1
    if isinstance(error, RequestError):  # our own checks only: a library's ValueError is no wrong request
        complain(str(error))
        return 2
    if isinstance(error, MissingExtra):  # the request is right, and this installation cannot do it
        complain(str(error))
        return 1
    if type(error).__name__ == "Abort" and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # Click takes a file that ends too early for the end of a dialogue
    complain(f"{type(error).__name__}: {error} (LEARNABILITY_DEBUG=1 shows the traceback)")
    return 1
