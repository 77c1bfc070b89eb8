"""Ed25519 after RFC 8032, section 5.1, for tests: slow, and from no library of ours."""

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, p):
    q = (0, 1, 1, 0)
    for bit in f"{number:b}":
        q = add(q, q)
        q = add(q, p) if bit == "1" else q
    return q


def point(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT_OF_MINUS_1 % P
    if y >= P or x * x % P != square:
        raise ValueError("no point of the curve")
    x = x if x % 2 == sign else P - x
    return x, y, 1, x * y % P


BASE = point(4 * pow(5, P - 2, P) % P, 0)


def decode(data):
    number = int.from_bytes(data, "little")
    return point(number % 2**255, number >> 255)


def verify(key, text, signature):
    """Whether the 64 bytes are the signature of the text by the key of 32 bytes."""
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % ORDER
    try:
        p, q = times(s, BASE), add(decode(signature[:32]), times(k, decode(key)))
    except ValueError:
        return False
    same = (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0
    return same and s < ORDER


def encode(p):
    inverse = pow(p[2], P - 2, P)
    return ((p[1] * inverse % P) | (p[0] * inverse % P % 2) << 255).to_bytes(32, "little")


def secret(seed):
    digest = hashlib.sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return number, digest[32:]


def public(seed):
    return encode(times(secret(seed)[0], BASE))


def sign(seed, text):
    """Never for a key that matters: nothing here is of constant time."""
    number, prefix = secret(seed)
    r = int.from_bytes(hashlib.sha512(prefix + text).digest(), "little") % ORDER
    nonce = encode(times(r, BASE))
    k = int.from_bytes(hashlib.sha512(nonce + public(seed) + text).digest(), "little") % ORDER
    return nonce + ((r + k * number) % ORDER).to_bytes(32, "little")
