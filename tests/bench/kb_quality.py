#!/usr/bin/python3
"""How well the knowledge base ranks, beside plain rankings. Prints figures; asserts none (test_kb_quality.py does).

    tests/bench/kb_quality.py PATH_OF_BHIV
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.kb import quality  # noqa: E402
from support.peer import Peer  # noqa: E402
from support.system import System, eventually  # noqa: E402


def main(bhiv):
    paragraphs, questions = quality.read()
    relevant = [right for _, right in questions]
    rows = {}
    for label, rank in quality.BASELINES.items():
        rows[label] = quality.measures([rank(paragraphs, question) for question, _ in questions], relevant)
    with tempfile.TemporaryDirectory() as folder, System(bhiv, pathlib.Path(folder) / "d") as system:
        with Peer(system.ingress, system.egress, source="py_quality") as peer:
            eventually(lambda: peer.ask("req.core.health", {})[0]["status"] == "success", what="Core")
            base = quality.Base(peer)
            base.fill(paragraphs)
            rows["bhiv kb"] = quality.measures([base.rank(question) for question, _ in questions], relevant)
    print(f"{len(paragraphs)} paragraphs, {len(questions)} questions (a part of SQuAD 1.1)")
    print("\n".join(quality.table(rows)))


if __name__ == "__main__":
    main(sys.argv[1])
