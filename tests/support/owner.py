"""The owner's signature, made after runtime/owner.h with libsodium alone."""

import base64
import ctypes
import ctypes.util
import hashlib
import time

from .peer import pack

sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
assert sodium.sodium_init() >= 0


def sign(token, topic, body, signed_at=None):
    """`body` with its two further fields. `signed_at` in microseconds; None: now."""
    signed_at = time.time_ns() // 1000 if signed_at is None else signed_at
    seed = hashlib.sha256(b"bhiv-owner-v1\n" + token.encode()).digest()
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    signature = ctypes.create_string_buffer(64)
    sodium.crypto_sign_seed_keypair(public, secret, seed)
    signed = b"bhiv-owner-command-v1\n%s\n%d\n" % (topic.encode(), signed_at) + pack(body)
    sodium.crypto_sign_detached(signature, None, signed, ctypes.c_ulonglong(len(signed)), secret)
    return {**body, "signed_at": signed_at, "signature": base64.b64encode(signature.raw).decode()}
