#!/usr/bin/env python3
"""Verifies a receipt or an export of the audit log with nothing but the log's public key, and no code of the program.

    verify.py FILE KEY              KEY: a public key as `bhiv keys export-public` prints it, or a file with one

The verifier is tests/support/audit_verifier.py: sixty lines of Python's own library, beside them Ed25519 in ed25519.py.
Exit status 0 and the count of entries where it verifies, else 1.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from support import audit_verifier  # noqa: E402

if len(sys.argv) != 3:
    sys.exit(__doc__)
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
key = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8") if os.path.exists(sys.argv[2]) else sys.argv[2]
try:
    if text.startswith("c2sp.org/tlog-proof"):
        _, index = audit_verifier.verify_receipt(text, key.strip())
        print(f"good: entry {index} is in the log")
    else:
        print(f"good: {len(audit_verifier.verify_export(text.splitlines(), key.strip()))} entries")
except (AssertionError, ValueError, LookupError) as problem:
    sys.exit(f"verify.py: {sys.argv[1]}: does not verify: {problem}")
