# SPDX-License-Identifier: MIT
"""A thread that does one thing after another while it may, and can be made to rest in between."""
import threading

from .wire import Closed


class Turns(threading.Thread):
    """Repeats turn() while `go` is set. What went wrong stands in `wrong`, and it rests then."""

    def __init__(self, name=""):
        super().__init__(daemon=True)
        self.go, self.idle, self.quit = threading.Event(), threading.Event(), threading.Event()
        self.what = name
        self.wrong = ""

    def run(self):
        while not self.quit.is_set():
            if not self.go.is_set():
                self.idle.set()
                self.go.wait(0.05)
                continue
            self.idle.clear()
            try:
                self.turn()
            except (Closed, OSError):
                self.lost()
            except Exception as e:  # pylint: disable=broad-except; a bug of the test, too
                self.wrong = f"{self.what}{': ' if self.what else ''}{type(e).__name__}: {e}"
                self.go.clear()
        self.idle.set()

    def rest(self):
        self.go.clear()
        if not self.idle.wait(150):
            self.wrong = "hangs"

    def end(self):
        self.quit.set()
        self.go.set()
        self.join(150)

    def lost(self):
        """The connection went away."""
