"""SIGKILL of Karma among commands of every kind: each is applied once, and a rebuild comes out equal."""

import random
import shutil
import uuid

import pytest
from support.karma_model import ACTIONS, PRACTICES, WRONGS, Model, Refused
from support.load import Publisher
from support.peer import Peer, pack
from support.system import System, eventually

USERS = 12


class Mixed(Publisher):
    """Commands of every kind, some of them to be refused. Their n-th is always the same."""

    def command(self, n):
        dice = random.Random(n)
        user_id = f"user_{dice.randrange(USERS)}"
        kind = dice.random()
        if n <= 2 * USERS or kind < 0.5:
            user_id = f"user_{n % USERS}" if n <= 2 * USERS else user_id
            return "karma.life_event", {"user_id": user_id, "action": dice.choice(list(ACTIONS)),
                                        "role": "user", "affected_user_id": "user_0"}
        if kind < 0.6:
            return "karma.appeal", {"user_id": user_id, "action": dice.choice(list(WRONGS))}
        if kind < 0.9:
            wrong, number = dice.choice(list(WRONGS)), dice.randrange(20)
            return "karma.atonement", {"user_id": user_id, "plan_id": f"{user_id}_{wrong}_{number}",
                                       "atonement_type": dice.choice(PRACTICES), "amount": 10008,
                                       "tx_hash": "0x1"}
        if kind < 0.98:
            return "karma.redeem", {"user_id": user_id, "token_type": "SevaPoints", "amount": 0.7}
        return "karma.death_event", {"user_id": user_id}

    def _make(self, pseq):
        ident = str(uuid.uuid4())
        header = {"id": ident, "source": self.name, "reply_to": self.inbox, "ack": True,
                  "pstream": self.stream, "pseq": pseq}
        topic, body = self.command(pseq)
        # Only the broker's ack is listened for: Karma's reply would come under the same id.
        self.flight[pseq] = (ident, [topic.encode(), pack(header), pack(body)])
        self.by_id[ident] = pseq


def ask(peer, operation, body=None):
    header, answer = peer.ask(f"req.karma.{operation}", body or {})
    assert header["status"] == "success", answer
    return answer


def at_head(system):
    """Karma's state hash, once it has applied all that is in the journal."""
    with Peer(system.ingress, system.egress, source="reader") as peer:
        def is_there():  # it may still be starting, and answer nothing
            header, health = peer.ask("req.karma.health", {})
            return header["status"] == "success" and health["lag"] == 0

        eventually(is_there, 30, what="Karma at the head")
        return ask(peer, "state_hash")["state_hash"]


@pytest.fixture(name="beaten")
def fixture_beaten(bhiv, tmp_path, long):
    """A system whose Karma was killed again and again, and has caught up."""
    dice = random.Random(20261121)
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace")) as system:
        load = Mixed(system.ingress, system.egress, count=400_000, window=300, name="mixed")
        load.start()
        for _ in range(40 if long else 6):
            before = len(load.acked)
            more = dice.randrange(50, 1500)
            eventually(lambda b=before, m=more: len(load.acked) >= b + m or load.error, 60, 0.001,
                       what="progress of the load")
            system.restarted("karma", system.kill("karma"))
        load.halt.set()
        load.join(30)
        assert load.error is None and not load.is_alive(), load.error
        yield system, load


def test_mixed_commands_survive_kills_and_a_rebuild(beaten):
    system, load = beaten
    kept = at_head(system)
    model = Model()
    refused = 0
    with Peer(system.ingress, system.egress, source="judge") as peer:
        seen = {}
        for topic, header, body in peer.fetch_all(["karma."]):
            if header["source"] != "mixed":
                continue
            seen[header["id"]] = header["seq"]
            try:
                model.apply(topic, body, header["at"])
            except Refused:
                refused += 1
        assert load.acked.items() <= seen.items()
        assert refused > 0 and sum(user.completed() for user in model.users.values()) > 0
        for user_id in model.users:
            profile = ask(peer, "profile", {"user_id": user_id})
            expected = model.profile(user_id)
            del expected["guidance"]
            assert {key: profile[key] for key in expected} == expected
            assert ask(peer, "replay", {"user_id": user_id})["matches"] is True
        assert ask(peer, "policy")["q"] == model.q

    system.stop()
    shutil.rmtree(system.folder / "karma")
    system.start()
    assert at_head(system) == kept
