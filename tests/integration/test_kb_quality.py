"""How well the knowledge base ranks: it does not fall behind what was measured, nor behind plain rankings. The figures
are printed by tests/bench/kb_quality.py."""

import pytest
from support.kb import quality
from support.peer import Peer
from support.system import System, eventually

# Measured with this collection; the same documents are always ranked the same.
MEASURED = {"MAP": 0.847, "nDCG@10": 0.876, "P@1": 0.763, "P@5": 0.191, "recall@5": 0.956}
NOISE = 0.01  # less than two questions of 135


@pytest.fixture(scope="module", name="base")
def fixture_base(bhiv, tmp_path_factory):
    with System(bhiv, tmp_path_factory.mktemp("q") / "d") as system:
        with Peer(system.ingress, system.egress, source="py_quality") as peer:
            eventually(lambda: peer.ask("req.core.health", {})[0]["status"] == "success", what="Core")
            base = quality.Base(peer)
            base.fill(quality.read()[0])
            yield base


def test_the_collection_is_whole():
    paragraphs, questions = quality.read()
    assert len(paragraphs) == 27 and len(questions) == 135
    assert [right for _, right in questions] == [i // 5 for i in range(135)]


def test_the_measures_are_those_of_trec_eval():
    rankings = [[3, 1, 2], [1, 2, 3, 4, 5, 6], [9], []]
    found = quality.measures(rankings, [1, 6, 7, 8])
    assert found["MAP"] == pytest.approx((1 / 2 + 1 / 6) / 4)
    assert found["nDCG@10"] == pytest.approx((0.6309297535714575 + 0.3562071871080222) / 4)
    assert found["P@1"] == 0 and found["P@5"] == pytest.approx(0.05) and found["recall@5"] == 0.25


def test_it_ranks_as_well_as_was_measured_and_better_than_plain_rankings(base):
    paragraphs, questions = quality.read()
    relevant = [right for _, right in questions]
    ours = quality.measures([base.rank(question) for question, _ in questions], relevant)
    for name, figure in MEASURED.items():
        assert ours[name] >= figure - NOISE, (name, ours)
    for label, rank in quality.BASELINES.items():
        plain = quality.measures([rank(paragraphs, question) for question, _ in questions], relevant)
        assert ours["MAP"] > plain["MAP"] + 0.005, (label, plain, ours)


def test_an_answer_is_made_of_sentences_of_its_first_sources(base):
    paragraphs, questions = quality.read()
    for question, _ in questions[::9]:
        answer = base.ask(question)
        texts = [result["text"] for result in answer["knowledge_base_results"][:3]]
        assert answer["response"] and len(answer["response"]) <= 3 * 401
        assert any(answer["response"][:40] in text for text in texts), question
