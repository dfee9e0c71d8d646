"""A process of its own with Django on one database, told over pipes what to call: one call, one answer."""

import importlib
import json
import os
import subprocess
import sys
import traceback
from types import TracebackType
from typing import Any, Self

from helpdesk import environment
from helpdesk.lifeline import dying_with_me


class Worker:
    """The near end: `with Worker(url) as worker: worker.ask("bench.data.build", tickets=200)`."""

    def __init__(self, database_url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker"],
            cwd=environment.BASE_DIR,
            env=os.environ | {"DATABASE_URL": database_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dying_with_me(),  # noqa: PLW1509 no other thread forks meanwhile
        )

    def ask(self, function: str, **arguments: Any) -> Any:
        """Call a function by its dotted name, wait, and return what it returned; JSON both ways."""
        self.tell(function, **arguments)
        return self.answer()

    def tell(self, function: str, **arguments: Any) -> None:
        """Have a function called without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([function, arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for what was told last. Raises RuntimeError with the traceback of the other process."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a bench worker ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.process.kill()
        self.process.communicate()


def serve() -> None:
    """The far end: call what is asked for until nobody asks any more."""
    import django

    # Whatever else is printed must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    django.setup()
    for line in sys.stdin:
        function, arguments = json.loads(line)
        module, _, name = function.rpartition(".")
        try:
            answer = {"result": getattr(importlib.import_module(module), name)(**arguments)}
        except Exception:  # noqa: BLE001 handed to the one who asked
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
