"""The broker alone, as a real process on ipc sockets of its own, and short words to speak with it."""

import pathlib
import signal

from support.peer import Peer, unpack
from support.system import Program


class Broker:
    def __init__(self, bhiv, folder, args=("--bus-in", "0", "--bus-out", "0"), env=None):
        self.bhiv = bhiv
        self.folder = pathlib.Path(folder)
        self.args = list(args)
        self.env = env
        self.program = None

    ingress = property(lambda self: f"ipc://{self.folder}/bus.in")
    egress = property(lambda self: f"ipc://{self.folder}/bus.out")
    log_path = property(lambda self: self.folder.parent / (self.folder.name + ".log"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        if exc[0] is not None and self.log_path.exists():
            print(self.log_path.read_text(errors="replace")[-4000:])
        if self.program is not None:
            status = self.stop()
            assert exc[0] is not None or status == 0, self.log_path.read_text(errors="replace")

    def start(self):
        argv = [self.bhiv, "broker", "--dir", str(self.folder), *self.args]
        self.program = Program(argv, env=self.env, log=self.log_path)
        return self

    def stop(self):
        program, self.program = self.program, None
        return program.stop()

    def kill(self):
        """As the power would: no signal that it could catch."""
        program, self.program = self.program, None
        program.signal(signal.SIGKILL)
        program.kill()

    def peer(self, source="py_test", **more):
        return Peer(self.ingress, self.egress, source, **more)


def say(peer, topic, body=None, timeout=10, **header):
    """Sends one message with reply_to and returns the answer's header and body."""
    ident = peer.send(topic, body, reply_to=peer.inbox, **header)
    return peer.answer(ident, timeout)


def ack_of(peer, topic, body=None, **header):
    """Publishes, and returns the body of the ack."""
    got, body = say(peer, topic, body, **{"ack": True, **header})
    assert got["status"] == "success", body
    assert got["ack"] is True and got["source"] == "$bus"
    return body


def error_of(peer, topic, body=None, **header):
    """Sends what is to be refused, and returns the body of the refusal."""
    got, body = say(peer, topic, body, **header)
    assert got["status"] == "error" and got["source"] == "$bus", (got, body)
    assert body["status"] == "error" and body["message"], body
    return body


def stats_of(peer):
    got, body = say(peer, "$bus.stats", {})
    assert got["status"] == "success", body
    return body


def handed(peer, timeout=10):
    """The next message on the inbox that is no welcome: a request, or an answer."""
    while True:
        if peer.heard:
            return peer.heard.popleft()
        assert peer.inbox_sub.poll(int(timeout * 1000)), "nothing came to the inbox"
        peer._read(timeout)


__all__ = ["Broker", "ack_of", "error_of", "handed", "say", "stats_of", "unpack"]
