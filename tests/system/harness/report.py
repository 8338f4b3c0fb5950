"""Runs checks in order, prints each as it goes, and counts them."""

import time
import traceback

JOURNAL_LINES = 80


class Abandoned(Exception):
    """A check failed that everything after it needs."""


def check(description, needed=False):
    """Marks a function of a scenario as a check. When a `needed` one fails, the rest of that container is left out."""

    def mark(function):
        function.description = description
        function.needed = needed
        return function

    return mark


def checks_of(scenario):
    """The checks of a scenario module, in the order in which they are written."""
    marked = [item for item in vars(scenario).values() if hasattr(item, "description")]
    return sorted(marked, key=lambda function: function.__code__.co_firstlineno)


class Report:
    """The count of passed and failed checks over all containers."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def run(self, box, scenario, only=None):
        """Runs the checks of one scenario in `box`."""
        for function in checks_of(scenario):
            if only and only not in function.description and not function.needed:
                continue
            if not self._one(box, function) and function.needed:
                raise Abandoned(function.description)

    def _one(self, box, function):
        name = f"{box.name}: {function.description}"
        began = time.monotonic()
        since = box.out("date +%s.%N", check=False) if box.nspawn else None
        try:
            said = function(box)
        except Exception as problem:
            self.failed.append(name)
            print(f"FAIL {name}", flush=True)
            where = traceback.extract_tb(problem.__traceback__)
            place = next((frame for frame in reversed(where) if "/scenarios/" in frame.filename), where[-1])
            print(f"     {type(problem).__name__} at {place.name}:{place.lineno}: {problem}", flush=True)
            self._print_journal(box, since)
            return False
        self.passed += 1
        print(f"ok   {name} ({time.monotonic() - began:.1f} s)" + (f": {said}" if said else ""), flush=True)
        return True

    def step(self, name, work):
        """One check outside a container: `work` returns something and what to say of it. None when it fails."""
        began = time.monotonic()
        try:
            made, said = work()
        except Exception as problem:
            self.failed.append(name)
            print(f"FAIL {name}\n     {type(problem).__name__}: {problem}", flush=True)
            return None
        self.passed += 1
        print(f"ok   {name} ({time.monotonic() - began:.1f} s): {said}", flush=True)
        return made

    def _print_journal(self, box, since):
        try:
            since = f"--since=@{since}" if since else ""
            text = box.out(f"journalctl -b --no-pager -o short-precise {since} | tail -n {JOURNAL_LINES}", check=False)
        except Exception as problem:
            text = f"(no journal: {problem})"
        for line in text.splitlines():
            print("     | " + line, flush=True)

    def close(self):
        """Prints the failures again and the closing line; returns the exit code."""
        for name in self.failed:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
