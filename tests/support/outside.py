"""Servers outside, as the Workflow Executor meets them: an SMTP server (aiosmtpd) that keeps what it
received, and an HTTP server that stands for WhatsApp's and the AI endpoint's documented requests."""

import email
import email.policy
import json
import socket
import ssl
import struct
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PATIENCE_S = 60  # how long a server that hangs waits for the test's word


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Certificate:
    """A self-signed certificate for 127.0.0.1, and what a server makes of it."""

    def __init__(self, folder):
        self.path = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=bhiv test", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(key), "-out", str(self.path)],
            check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(self.path), str(key))


class SmtpServer:
    """Takes mails. `answers`: what it says to RCPT and DATA by recipient, instead of taking them."""

    def __init__(self, certificate=None, login=None):
        self.mails = []  # (envelope's sender, recipients, the parsed mail)
        self.lock = threading.Lock()
        self.refuse_rcpt = {}
        self.refuse_data = {}
        self.sessions = []  # (is it encrypted, who logged in) of each mail
        more = {}
        if certificate is not None:
            more["tls_context"] = certificate.context
            more["require_starttls"] = True
        if login is not None:
            more["auth_required"] = True
            more["authenticator"] = lambda *args: AuthResult(
                success=(args[4].login.decode(), args[4].password.decode()) == login,
                handled=False, auth_data=args[4].login.decode())
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port(), **more)

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.controller.port}"

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *exc):
        self.controller.stop()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse_rcpt:
            return self.refuse_rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            if address in self.refuse_data:
                return self.refuse_data[address]
        with self.lock:
            mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
            self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), mail, envelope.original_content))
            self.sessions.append((session.ssl is not None, session.auth_data))
        return "250 queued as 4711"

    def to(self, address):
        with self.lock:
            return [mail for mail in self.mails if address in mail[1]]


class HttpServer:
    """Answers by what is asked: `answer` is (status, body) or a callable of the request that gives
    one, or None to hang until `release` is set, or "reset" to break off."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []  # {path, headers, body}
        self.lock = threading.Lock()
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # an answer leaves in one piece: nobody waits for a delayed ack

            def do_POST(self):
                outer.take(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # whoever was killed has reset its connection
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def take(self, handler):
        raw = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        request = {"path": handler.path, "headers": dict(handler.headers), "body": json.loads(raw)}
        with self.lock:
            self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if answer is None:
            self.release.wait(PATIENCE_S)
            handler.close_connection = True
            return
        if answer == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        status, body = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            handler.close_connection = True  # the other side has gone


def whatsapp_answer(request):
    """As the Cloud API documents it."""
    return 200, {"messaging_product": "whatsapp",
                 "contacts": [{"input": request["body"]["to"], "wa_id": "919999999999"}],
                 "messages": [{"id": "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"}]}


def ai_answer(request):
    """As the chat completions API documents it."""
    said = request["body"]["messages"][-1]["content"]
    return 200, {"id": "chatcmpl-123", "object": "chat.completion", "created": 1677652288,
                 "model": request["body"].get("model", "none"),
                 "choices": [{"index": 0, "message": {"role": "assistant", "content": "You said: " + said},
                              "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}}
