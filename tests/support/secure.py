"""A bus behind CURVE: its certificates, its broker, and peers that speak by them, or by wrong ones."""

import pathlib
import re
import subprocess

import zmq
from support.broker import Broker
from support.peer import Peer
from support.system import free_port_base

KEY = re.compile(r'(public|secret)-key = "(.{40})"')


def make_cert(bhiv, folder, name, *more):
    done = subprocess.run(
        [bhiv, "keys", "cert", name, "--dir", str(folder), *more], capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout, done.stderr


def keys_of(folder, name):
    """(public, secret) of a certificate's files."""
    text = (pathlib.Path(folder) / "certs" / f"{name}.cert_secret").read_text()
    found = dict(KEY.findall(text))
    return found["public"].encode(), found["secret"].encode()


def server_key(folder):
    text = (pathlib.Path(folder) / "certs" / "broker.cert").read_text()
    return dict(KEY.findall(text))["public"].encode()


class CurvePeer(Peer):
    """A peer over tcp. `keys` (public, secret); None: it speaks plain."""

    def __init__(self, bus, name, keys="own", source=None, **more):
        self.keys = keys_of(bus.folder, name) if keys == "own" else keys
        self.server = server_key(bus.folder)
        super().__init__(bus.tcp_in, bus.tcp_out, source or name, **more)

    def _socket(self, kind, endpoint):
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 500)
        socket.setsockopt(zmq.SNDHWM, 20000)
        socket.setsockopt(zmq.RCVHWM, 20000)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        if self.keys is not None:
            socket.curve_serverkey = self.server
            socket.curve_publickey, socket.curve_secretkey = self.keys
        socket.connect(endpoint)
        return socket


class SecureBroker(Broker):
    """The broker alone, with --secure, on ipc and on two free ports of loopback."""

    def __init__(self, bhiv, folder, names=(), access=None, args=()):
        base = free_port_base()
        self.ports = (base + 50, base + 51)
        super().__init__(
            bhiv, folder, args=("--secure", "--bus-in", str(self.ports[0]), "--bus-out", str(self.ports[1]), *args)
        )
        for name in ("broker", *names):
            status, _, said = make_cert(bhiv, folder, name)
            assert status == 0, said
        if access is not None:
            self.write_access(access)

    tcp_in = property(lambda self: f"tcp://127.0.0.1:{self.ports[0]}")
    tcp_out = property(lambda self: f"tcp://127.0.0.1:{self.ports[1]}")

    def write_access(self, text):
        (self.folder / "access.zpl").write_text(text)

    def curve(self, name, **more):
        return CurvePeer(self, name, **more)
