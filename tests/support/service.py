"""A service of the bus in a thread of the test, written only from docs/protocol.md.

`answer(operation, body)` gives (error_code or None, body); None hangs. It beats until it is left; with
`bye=False` it then falls silent instead of saying goodbye.
"""

import threading
import time
import uuid

from support.peer import Peer


class Service:
    def __init__(self, system, name, answer=None, bye=True, **hello):
        self.system, self.name, self.answer, self.bye = system, name, answer, bye
        self.hello = hello
        self.instance = uuid.uuid4().hex
        self.asked = []  # operations, in their order
        self.is_known = threading.Event()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.is_known.wait(10), f"{self.name} is not known to the broker"
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.thread.join(10)

    def _run(self):
        with Peer(self.system.ingress, self.system.egress, source="py_service") as peer:
            me = {"service": self.name, "instance": self.instance, "inbox": peer.inbox, **self.hello}
            peer.ask("$bus.hello", me)
            self.is_known.set()
            beat = time.monotonic()
            while not self.stopping.is_set():
                if time.monotonic() - beat > 0.8:
                    peer.send("$bus.beat", me)
                    beat = time.monotonic()
                self._take(peer)
            if self.bye:
                peer.send("$bus.bye", {"instance": self.instance})

    def _take(self, peer):
        if not peer.heard and peer._read(0.05) is None:
            return
        header, body = peer.heard.popleft()
        if "topic" not in header:
            return
        operation = header["topic"].removeprefix(f"req.{self.name}.")
        self.asked.append(operation)
        answer = self.answer(operation, body) if self.answer else None
        if answer is not None:
            error, body = answer
            status = "error" if error else "success"
            body = {"status": "error", "error_code": error, "message": "test"} if error else body
            peer.send(header["reply_to"], body, re=header["id"], status=status)
