"""Bearer tokens for the contract tests: a system that asks for them, and identities to ask with."""

import subprocess
from types import SimpleNamespace

import requests
from support.system import System, eventually

WRONG = {  # what is no token, in every way that a token may be none
    "absent": None,
    "empty": "Bearer ",
    "no token": "Bearer nonsense",
    "another scheme": "Basic YTpi",
    "of the right shape": f"Bearer bhiv_{'0' * 12}_{'0' * 64}",
    "too long": f"Bearer bhiv_{'0' * 12}_{'0' * 4000}",
}


def create(bhiv, folder, role, product="gurukul", expires="1d"):
    """A new token's text."""
    argv = [bhiv, "token", "create", "--dir", str(folder), "--role", role, "--product", product,
            "--expires", expires]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def revoke(bhiv, folder, token):
    argv = [bhiv, "token", "revoke", "--dir", str(folder), token.split("_")[1]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


class Guarded(System):
    """`bhiv up` whose bridge asks for tokens, and one request as somebody."""

    def __init__(self, bhiv, folder, args=("--dev",), env=None):
        super().__init__(bhiv, folder, args, {"BHIV_TOKENS": str(folder / "tokens"), **(env or {})})

    def token(self, role, product="gurukul", expires="1d"):
        return create(self.bhiv, self.folder, role, product, expires)

    def revoke(self, token):
        revoke(self.bhiv, self.folder, token)

    def call(self, token, method, path, body=None, port="bucket", **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers.update(options.pop("headers", {}))
        return requests.request(
            method, self.url(port, path), json=body, headers=headers, timeout=15, **options
        )

    def ready(self):
        for port in ("karma", "bucket", "core", "workflow", "console"):
            eventually(lambda: requests.get(self.url(port, "/readyz"), timeout=5).status_code == 200,
                       what=f"{port} is ready")
        return self


def people(system):
    """One identity of each kind that the tests tell apart."""
    expired = system.token("bhiv_core", expires="1ms")
    revoked = system.token("bhiv_core")
    system.revoke(revoked)
    return SimpleNamespace(
        core=system.token("bhiv_core", "gurukul"),
        both=system.token("bhiv_core", "gurukul,ai_avatar"),
        other=system.token("agent_other", "ai_avatar"),
        executor=system.token("workflow_executor", "none"),
        owner=system.token("owner"),
        expired=expired,
        revoked=revoked,
    )
