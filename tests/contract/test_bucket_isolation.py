"""What one product keeps never shows in an answer to another: thousands of random requests.

Every artifact and entry of a product carries that product's marker, in its content, its metadata and
its tags; ids and other tags are the same for all. Whatever is asked for one product, and nothing that
is asked holds another's marker, no other's marker is in the answer.
"""

import json
import os
import random

import pytest
from support.bucket import PRODUCTS, Bucket, name

MARKERS = {product: f"marker-of-{index}-{name()}" for index, product in enumerate(PRODUCTS)}
SEED = int(os.environ.get("BHIV_TEST_SEED", "20260731"))
REQUESTS = 3000
ROUND = 200  # in flight at once


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


class Requests:
    """A stream of requests, and what is known of the products' artifacts."""

    def __init__(self):
        self.random = random.Random(SEED)
        self.ids = {product: [] for product in PRODUCTS}
        self.written = 0

    def write(self, product):
        # Ids are shared between products now and then: each has its own artifact of that name.
        self.written += 1
        artifact_id = f"shared-{self.written // 4}" if self.random.random() < 0.3 else f"id-{self.written}"
        self.ids[product].append(artifact_id)
        tags = [f"t{self.random.randrange(5)}", MARKERS[product]]
        return "bucket.artifact_write", {
            "artifact_id": artifact_id, "content": {"secret": MARKERS[product]},
            "metadata": {"product": product, "created_by": MARKERS[product], "tags": tags, "note": MARKERS[product]},
        }

    def read(self, product):
        """Of any product's id, with this product."""
        ids = self.ids[self.random.choice(PRODUCTS)] or ["none"]
        return "bucket.artifact_read", {"artifact_id": self.random.choice(ids), "product": product,
                                        "requester_id": f"r{self.random.randrange(50)}"}

    def query(self, product):
        filters = {"limit": self.random.choice([1, 7, 1000])}
        if self.random.random() < 0.7:
            filters["tags"] = [self.random.choice([f"t{self.random.randrange(5)}", MARKERS[product]])]
        if self.random.random() < 0.3:
            filters["created_after"] = "2020-01-01T00:00:00Z"
        return "bucket.metadata_query", {"product": product, "filters": filters}

    def append(self, product):
        return "bucket.audit_append", {"event_type": "read", "product": product, "requester_id": MARKERS[product],
                                       "details": {"secret": MARKERS[product]}}

    def log(self, product):
        return "req.bucket.audit_log", {"product": product, "limit": self.random.choice([1, 20])}

    def quota(self, product):
        return "req.bucket.quota", {"product": product}

    def next(self):
        product = self.random.choice(PRODUCTS)
        kinds = [self.write, self.read, self.read, self.query, self.query, self.append, self.log, self.quota]
        return product, *self.random.choice(kinds)(product)


def foreign(product, answer):
    """Other products whose marker is in the answer."""
    text = json.dumps(answer)
    return [other for other, marker in MARKERS.items() if other != product and marker in text]


def test_no_answer_holds_what_another_product_keeps(bucket):
    requests, seen, refused = Requests(), 0, 0
    for _ in range(REQUESTS // ROUND):
        asked = {}
        for _ in range(ROUND):
            product, topic, body = requests.next()
            asked[bucket.peer.send(topic, body, reply_to=bucket.peer.inbox)] = (product, body)
        for ident, (product, body) in asked.items():
            _, answer = bucket.peer.answer(ident, ack=False)
            assert foreign(product, answer) == [], f"seed {SEED}: {body} got {answer}"
            seen += MARKERS[product] in json.dumps(answer)
            refused += answer.get("error_code") == "ARTIFACT_NOT_FOUND"
    assert seen > REQUESTS / 4 and refused > REQUESTS / 20, "or nothing was put to the test"


def test_neither_an_id_nor_a_count_of_another_product_shows(bucket):
    shared = name("shared")
    for product in PRODUCTS[:2]:
        body = {"artifact_id": shared, "content": {"of": product},
                "metadata": {"product": product, "created_by": "c", "tags": [shared]}}
        assert bucket.through("bus", "artifact_write", body)[0] is None
    for product in PRODUCTS[:2]:
        read = bucket.through("http", "artifact_read", {"artifact_id": shared, "product": product})[1]
        assert read["content"] == {"of": product}
        found = bucket.through("http", "metadata_query", {"product": product, "filters": {"tags": [shared]}})[1]
        assert found["total"] == found["returned"] == 1
    for product in PRODUCTS[2:]:
        assert bucket.through("http", "artifact_read", {"artifact_id": shared, "product": product})[0]
        found = bucket.through("http", "metadata_query", {"product": product, "filters": {"tags": [shared]}})[1]
        assert found["total"] == found["returned"] == 0


def test_a_live_topic_tells_of_its_product_alone(bucket):
    bucket.peer.subscribe("bucket.out.")
    for product in PRODUCTS:
        body = {"artifact_id": name(), "content": {"secret": MARKERS[product]},
                "metadata": {"product": product, "created_by": MARKERS[product], "tags": [MARKERS[product]]}}
        assert bucket.through("http", "artifact_write", body)[0] is None
        bucket.through("http", "artifact_write", body)
        bucket.through("http", "audit_append", {"event_type": "read", "product": product, "details": {
            "secret": MARKERS[product]}})
    last = name()
    bucket.through("http", "audit_append", {"event_type": "read", "product": PRODUCTS[-1], "details": {"last": last}})
    heard = 0
    while (message := bucket.peer.hear()) is not None:
        topic, _, body = message
        product, text = topic.split(".")[3], json.dumps(body)
        assert [other for other in PRODUCTS if other != product and MARKERS[other] in text] == [], topic
        heard += 1
        if last in text:
            break
    assert heard >= 3 * len(PRODUCTS)
