"""Requests that never pause: good ones of the client, thefts beside them, each answer kept with its time."""

import threading
import time


class Load:
    """Runs from `with` to its end; then `good` and `thefts` are lists of (seconds since the start, status)."""

    def __init__(self, mesh, pause=0.05, thefts=True):
        self.mesh, self.pause = mesh, pause
        self.good, self.thefts, self.threads = [], [], []
        self.over = threading.Event()
        self.start(self.ask_good, self.good)
        if thefts:
            self.start(self.ask_stolen, self.thefts)

    def start(self, ask, answers):
        self.threads.append(threading.Thread(target=self.repeat, args=(ask, answers), daemon=True))

    def repeat(self, ask, answers):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                status = ask()
            except Exception as error:  # noqa: BLE001 - a lost request is an answer, too
                status = f"{type(error).__name__}: {error}"
            answers.append((began - self.began, status))
            self.over.wait(self.pause)

    def ask_good(self):
        answer = self.mesh.ask(self.token)
        return 200 if answer.status == 200 else f"{answer.status} {answer.error} {answer.body[:100]}"

    def ask_stolen(self):
        """On new connections, for new configuration is for those, and with the client's token of that moment."""
        try:
            return self.mesh.steal(self.token).status
        except Exception:  # noqa: BLE001 - refused in whatever way
            return 0

    def __enter__(self):
        self.token = self.mesh.token()
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def lost(self):
        return [(round(when, 2), status) for when, status in self.good if status != 200]

    def admitted_thefts(self):
        return [(round(when, 2), status) for when, status in self.thefts if status == 200]
