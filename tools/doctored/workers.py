"""Each check in a process of its own, so that a doctored loop that never ends costs a time limit and no more."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def tried(
    statement: str, scale: str, limit: float, only: str = "", before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What came of one check: its rows, what turned each first, what raised and what never ended.

    What turned a row ``before`` is kept if the row still holds.
    """
    known = dict(before["turned"]) if before else {}
    found: dict[str, Any] = {"rows": {}, "turned": {}, "tried": 0, "raised": 0, "hung": []}
    start, last = 0, ""
    begun = time.monotonic()
    while True:
        named = ["--worker", statement, "--scale", scale, "--start", str(start), "--only", only]
        with subprocess.Popen(
            [sys.executable, "-m", "tools.doctored", *named],
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as worker:
            lines: queue.Queue[str] = queue.Queue()
            assert worker.stdout is not None
            threading.Thread(target=_forward, args=(worker.stdout, lines)).start()
            patience, ended = 600.0, False
            try:
                while not ended:
                    line = lines.get(timeout=patience)
                    answer: dict[str, Any] = json.loads(line) if line else {"died": True}
                    if "base" in answer:
                        found["rows"], patience = answer["base"], 10.0 + 5 * answer["seconds"]
                        found["turned"] |= {id: by for id, by in known.items() if found["rows"].get(id) == "holds"}
                    elif "number" in answer:
                        start, last = answer["number"] + 1, answer["told"]
                        found["tried"] += 1
                        found["raised"] += "raised" in answer
                        for id in answer.get("turned", ()):
                            if id not in found["turned"] or (found["turned"][id][1] and not answer["formula"]):
                                found["turned"][id] = [answer["told"], answer["formula"]]
                    by_rooms = {id for id, (_, formula) in found["turned"].items() if not formula}
                    waits = [id for id, v in found["rows"].items() if v == "holds" and id not in by_rooms]
                    ended = bool("done" in answer or "died" in answer or (bool(found["rows"]) and not waits))
                    if "died" in answer and not found["rows"]:
                        raise RuntimeError(f"{statement} cannot be run at all")
                    if time.monotonic() - begun > limit:
                        found["unfinished"] = ended = True
                if "died" not in answer:
                    return found
            except queue.Empty:
                pass
            finally:
                worker.kill()
        found["hung"].append(f"after {last or 'the first'}")  # a loop that never ends, or a process that died
        start += 1


def _forward(stream: IO[str], lines: queue.Queue[str]) -> None:
    """Lines of a process as they come, and an empty one when it has ended."""
    for line in stream:
        lines.put(line)
    lines.put("")
