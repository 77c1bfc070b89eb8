"""Receipts and exports of the audit log, verified by nothing but Python's library, in 60 lines.

Written from RFC 9162 and C2SP's texts alone: it shares no code with proto/merkle.c, and its proofs
descend where those climb. Everything raises AssertionError or ValueError where it does not verify.
"""
import base64
import hashlib
import json
from . import ed25519

def decode(text):  # one text for one value
    assert text == base64.b64encode(data := base64.b64decode(text, validate=True)).decode()
    return data

def sha(data):
    return hashlib.sha256(data).digest()

def split(size):  # the largest power of two below it
    return 1 << (size - 1).bit_length() >> 1

def mth(hashes):  # RFC 9162, 2.1.1, over leaf hashes
    if len(hashes) < 2:
        return hashes[0] if hashes else sha(b"")
    k = split(len(hashes))
    return sha(b"\1" + mth(hashes[:k]) + mth(hashes[k:]))

def root_of(index, size, leaf, path):  # 2.1.3.1, read backwards
    assert 0 <= index < size and (len(path) == 0) == (size == 1), "the path"
    if size == 1:
        return leaf
    k = split(size)
    if index < k:
        return sha(b"\1" + root_of(index, k, leaf, path[:-1]) + path[-1])
    return sha(b"\1" + path[-1] + root_of(index - k, size - k, leaf, path[:-1]))

def open_checkpoint(note, vkey):  # -> its size and root
    text, _, lines = note.rpartition("\n\n")
    name, key_id, key = vkey.split("+", 2)
    assert sha(name.encode() + b"\n" + decode(key))[:4].hex() == key_id, "the key"
    signatures = [decode(line.split(" ")[2]) for line in lines.splitlines() if line.split(" ")[1] == name]
    signature = next((s[4:] for s in signatures if s[:4].hex() == key_id), b"")
    assert ed25519.verify(decode(key)[1:], (text + "\n").encode(), signature), "the signature"
    origin, size, root = text.split("\n")[:3]
    assert origin == name, "another log's"
    return int(size), decode(root)

def verify_receipt(text, vkey):  # -> the entry's bytes and its leaf index
    head, _, note = text.partition("\n\n")
    mark, extra, index, *path = head.split("\n")
    assert mark == "c2sp.org/tlog-proof@v1" and extra[:6] == "extra " and index[:6] == "index "
    leaf, (size, root) = decode(extra[6:]), open_checkpoint(note, vkey)
    assert root_of(int(index[6:]), size, sha(b"\0" + leaf), [decode(h) for h in path]) == root, "the root"
    return leaf, int(index[6:])

def verify_export(lines, vkey):  # -> the entries' bytes, in their order
    head, *entries, last = [json.loads(line) for line in lines]
    leaves, (size, root) = [decode(e["leaf"]) for e in entries], open_checkpoint(head["checkpoint"], vkey)
    assert mth([sha(b"\0" + leaf) for leaf in leaves]) == root and len(leaves) == size == last["count"]
    return leaves
