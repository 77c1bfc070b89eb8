"""How well passages are ranked: a test collection, the usual measures, and plain rankings to compare with.

Measures are those of trec_eval. With one relevant paragraph a question MAP is the mean reciprocal rank, and P@5 at most
0.2.
"""

import collections
import math
import pathlib
import re

COLLECTION = pathlib.Path(__file__).with_name("squad.txt")
WORD = re.compile(r"\w+")


def read(path=COLLECTION):
    """The paragraphs, and (question, number of its paragraph)."""
    paragraphs, questions = [], []
    for line in path.read_text().splitlines():
        if line.startswith("? "):
            questions.append((line[2:], len(paragraphs) - 1))
        elif not line.startswith("#"):
            paragraphs.append(line)
    return paragraphs, questions


def measures(rankings, relevant, depth=20):
    """Means over the questions: `rankings` are lists of documents, `relevant` the one that each is about."""
    sums = collections.Counter()
    for ranking, right in zip(rankings, relevant, strict=True):
        ranking = ranking[:depth]
        rank = ranking.index(right) + 1 if right in ranking else None
        sums["MAP"] += 1 / rank if rank else 0
        sums["nDCG@10"] += 1 / math.log2(rank + 1) if rank and rank <= 10 else 0
        sums["P@1"] += rank == 1
        sums["P@5"] += 0.2 if rank and rank <= 5 else 0
        sums["recall@5"] += bool(rank and rank <= 5)
    return {name: sums[name] / len(relevant) for name in ("MAP", "nDCG@10", "P@1", "P@5", "recall@5")}


# --- Plain rankings ------------------------------------------------------------------------------


def words(text):
    return WORD.findall(text.lower())


def ranked(scores):
    """Documents with a score, the best first; of equal ones the first."""
    return [document for score, document in sorted(((-score, i) for i, score in enumerate(scores) if score > 0))]


def overlap(texts, question):
    """What the original fell back to: the part of the question's words that a text has."""
    asked = set(words(question))
    return ranked([len(asked & set(words(text))) / len(asked) for text in texts])


def cosine(texts, question):
    """The vector space model: (1 + ln tf) ln (N/n), cosine."""
    found = collections.Counter(word for text in texts for word in set(words(text)))

    def vector(text):
        return {word: (1 + math.log(count)) * math.log(len(texts) / found[word])
                for word, count in collections.Counter(words(text)).items() if found[word]}

    def length(weights):
        return math.sqrt(sum(weight * weight for weight in weights.values())) or 1

    asked = vector(question)
    vectors = [vector(text) for text in texts]
    return ranked([sum(asked[word] * weights.get(word, 0) for word in asked) / length(weights) for weights in vectors])


def bm25(texts, question, k1=1.2, b=0.75):
    """BM25 of whole texts: no stems, no words left out."""
    counts = [collections.Counter(words(text)) for text in texts]
    average = sum(sum(count.values()) for count in counts) / len(counts)
    scores = [0.0] * len(texts)
    for word in words(question):
        found = sum(word in count for count in counts)
        idf = math.log(1 + (len(texts) - found + 0.5) / (found + 0.5))
        for i, count in enumerate(counts):
            length = 1 - b + b * sum(count.values()) / average
            scores[i] += idf * count[word] * (k1 + 1) / (count[word] + k1 * length)
    return ranked(scores)


BASELINES = {"word overlap": overlap, "tf-idf, cosine": cosine, "BM25 of whole texts": bm25}


# --- Ours ----------------------------------------------------------------------------------------


class Base:
    """A running knowledge base with the paragraphs as its documents."""

    BOOK = "quality"

    def __init__(self, peer):
        self.peer = peer

    def fill(self, paragraphs):
        for number, text in enumerate(paragraphs):
            header, answer = self.peer.ask("kb.document", {
                "document_id": f"quality-{number:03}", "text": text, "book": self.BOOK}, ack=False)
            assert header["status"] == "success", answer

    def ask(self, question):
        header, answer = self.peer.ask("req.core.kb_search", {
            "query": question, "filters": {"book": self.BOOK}, "limit": 50})
        assert header["status"] == "success", answer
        return answer

    def rank(self, question):
        """Documents by their best passage."""
        return [int(source["document_id"].removeprefix("quality-")) for source in self.ask(question)["sources"]]


def table(rows):
    """Lines of a table, of {name: measures}."""
    names = list(next(iter(rows.values())))
    lines = [" " * 24 + "".join(f"{name:>10}" for name in names)]
    for label, row in rows.items():
        lines.append(f"{label:24}" + "".join(f"{row[name]:10.3f}" for name in names))
    return lines
