"""A peer as a process that stays alive and answers requests: one JSON object a line in, one a line out. Standard library only.

A peer that stays alive is timed without its start, and its runs can be interleaved with ours, so that a busy neighbour strikes both.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from environments import FOLDER, Skipped, prepare

PATIENCE = 1800  # seconds; the longest case takes minutes
HERE = Path(__file__).resolve().parent


class Peer:
    """The asking side."""

    def __init__(self, environment: str, script: str, *arguments: str, variables: dict[str, str] | None = None):
        command = [str(prepare(environment)), str(HERE / script), *arguments]
        self.name = script
        self.said = FOLDER / f"{Path(script).stem}.stderr"
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said.open("w"),
            text=True,
            bufsize=1,
            env=os.environ | (variables or {}),
        )
        self.about = self.read()

    def ask(self, **request) -> dict:
        """Sends a request and waits for its answer. An answer with `error` is a peer that cannot do this."""
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
        except BrokenPipeError:
            raise Skipped(self.last_words()) from None
        return self.read()

    def read(self) -> dict:
        assert self.process.stdout
        # One answer a question, so nothing lies in the buffer that select could not see.
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
            raise Skipped(f"{self.name} said nothing for {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            raise Skipped(self.last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise Skipped(f"{self.name}: {answer['error']}")
        return answer

    def last_words(self) -> str:
        self.process.wait(timeout=30)
        lines = [line.strip() for line in self.said.read_text(errors="replace").splitlines() if line.strip()]
        return f"{self.name} ended: {lines[-1] if lines else 'it said nothing'} (more in {self.said})"

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def serve(about: dict, answer: Callable[[dict], dict]) -> None:
    """The answering side: says what it is, then answers until its input ends. Whatever else is printed goes to stderr."""
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(about), file=out, flush=True)
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except Exception as error:  # the asking side decides what it means
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), file=out, flush=True)
