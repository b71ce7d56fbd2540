"""Requests that never pause: good ones of the client, thefts beside them, each answer kept with its time."""

import threading
import time

import stack


class Load:
    """Runs from `with` to its end; then `good` and `thefts` are lists of (seconds since the start, status)."""

    def __init__(self, mesh, pause=0.05, thefts=True):
        self.mesh, self.pause = mesh, pause
        self.good, self.thefts, self.threads = [], [], []
        self.renewals = []
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

    def renew(self):
        """As an application that asks for a new token when it sees that its certificate is another one."""
        token = self.mesh.token()
        if thumbprint(token) != thumbprint(self.token):
            self.token = token
            self.renewals.append(time.monotonic() - self.began)

    def renewed_near(self, moment):
        """Whether a request of that moment may have carried the token before."""
        return any(renewal - 2.5 < moment < renewal + 0.5 for renewal in self.renewals)

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


def thumbprint(token):
    return stack.claims(token)["cnf"]["x5t#S256"]
