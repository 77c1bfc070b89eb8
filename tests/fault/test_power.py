"""Power cuts and torn writes: what was acknowledged was flushed before, and comes back as it was.

The disk is the preloaded library's (shim/): at a cut every write that no flush followed is gone, or
some sectors of it are, which is worse.
"""

import random

import pytest
from support.broker import Broker, ack_of, say
from support.checker import check
from support.faults import DIE, LOST, MIXED, SECTOR, STAYS, WRITE
from support.load import Publisher
from support.peer import Peer
from support.system import System, eventually


def journal_of(broker):
    with broker.peer("reader") as peer:
        return list(peer.fetch_all())


def body(n):
    return {"requester_id": "bhiv_core", "event_type": "rl_outcome", "n": n, "pad": "x" * (n * 37 % 700)}


@pytest.mark.parametrize("power", [LOST, MIXED], ids=["all_of_it", "some_sectors"])
def test_a_power_cut_takes_nothing_that_the_broker_acknowledged(bhiv, tmp_path, faults, long, power):
    page = faults("broker", power=power)
    dice = random.Random(20261120 + power)
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker:
        load = Publisher(broker.ingress, broker.egress, count=10**9, window=500)
        load.start()
        for round_ in range(100 if long else 8):
            before = len(load.acked)
            goal = before + dice.randrange(20, 2000)
            eventually(lambda goal=goal: load.error or len(load.acked) > goal, 60, 0.001, "acks")
            page.seed = round_
            page.cut = 1
            broker.program.process.wait(10)
            broker.program.close()
            page.cut = 0
            broker.start()
        load.halt.set()
        load.join(30)
        assert load.error is None, load.error
        assert page.died == round_ + 1
        journal = journal_of(broker)
    assert [header["seq"] for _, header, _ in journal] == list(range(1, len(journal) + 1))
    seqs = {header["id"]: header["seq"] for _, header, _ in journal}
    assert len(seqs) == len(journal), "something was journaled twice"
    assert {ident: seqs.get(ident) for ident in load.acked} == load.acked
    for _, header, event in journal:  # the truth is known from the number alone
        assert event == load.event(header["pseq"])


def test_no_ack_leaves_before_its_flush(bhiv, tmp_path, faults):
    page = faults("broker")
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker, broker.peer() as peer:
        flushed = page.syncs
        ack_of(peer, "core.event.rl_outcome", body(1))
        assert page.syncs > flushed
        page.hold = 1
        held = peer.send("core.event.rl_outcome", body(2), reply_to=peer.inbox, ack=True)
        eventually(lambda: page.waiting == 1, what="a flush")
        # Answers leave in order: what is asked later is answered, so the held one was not.
        header, answer = say(peer, "$bus.stats", {})
        assert header["status"] == "success" and answer["head"] == 1
        assert peer.fetch(start=2)["records"] == [], "served before it was durable"
        assert not [header for header, _ in peer.heard if header.get("re") == held]
        page.hold = 0
        assert peer.answer(held)[1]["seq"] == 2


def test_a_disk_that_hangs_stops_neither_live_messages_nor_fetches_nor_requests(
        bhiv, tmp_path, faults):
    page = faults("broker")
    args = ("--bus-in", "0", "--bus-out", "0", "--pending-bytes", "8m")
    with Broker(bhiv, tmp_path / "d", args, env=page.env) as broker, \
            broker.peer() as peer, broker.peer("listener") as listener:
        listener.subscribe("htm.")
        ack_of(peer, "core.event.rl_outcome", body(1))
        page.hold = 1
        asked = [peer.send("core.event.rl_outcome", {**body(1), "pad": "x" * 100_000},
                           reply_to=peer.inbox, ack=True) for _ in range(120)]
        peer.send("htm.beat", {"n": 1})
        assert listener.hear()[2] == {"n": 1}
        assert peer.fetch(start=1)["head"] == 1
        assert say(peer, "req.nobody.there", {})[1]["error_code"] == "NO_RESPONDERS"
        busy = [body for header, body in peer.heard if header.get("re") in set(asked)]
        assert busy and all(each["error_code"] == "BUSY" and each["retry_after"] > 0 for each in busy)
        page.hold = 0
        answers = [peer.answer(ident) for ident in asked]
        durable = [body["seq"] for header, body in answers if header["status"] == "success"]
        assert len(durable) + len(busy) == len(asked) and len(durable) > 50
        assert [header["seq"] for _, header, _ in peer.fetch_all()] == [1, *durable]


def test_a_torn_write_leaves_the_journal_as_it_was_or_as_it_was_to_be(bhiv, tmp_path, faults, long):
    """Each k-th write, torn at each sector, with and without the power gone besides."""
    page = faults("broker", power=LOST)
    dice = random.Random(20261120)
    cases = [(k, sectors, power) for k in range(1, 13) for sectors in range(65)
             for power in (STAYS, LOST, MIXED)]
    if not long:
        cases = dice.sample(cases, 30)
    truth, acked = {}, {}
    broker = Broker(bhiv, tmp_path / "d", env=page.env)
    n = 0
    for k, sectors, power in cases:
        page.clear()
        page.power, page.seed = power, n
        broker.start()
        peer = broker.peer("torn")
        page.arm(WRITE, DIE, start=k, count=1, size=sectors * SECTOR)
        while broker.program.process.poll() is None:
            sent = []
            for _ in range(dice.randrange(1, 20)):
                n += 1
                ident = peer.send("core.event.rl_outcome", body(n), reply_to=peer.inbox, ack=True)
                truth[ident] = body(n)
                sent.append(ident)
            for ident in sent:
                try:
                    acked[ident] = peer.answer(ident, 0.1)[1]["seq"]
                except TimeoutError:
                    break  # it died, or the others come in the next round
        peer.close(linger=0)
        broker.program.close()
        page.clear()
        broker.start()
        seqs = {}
        for _, header, event in journal_of(broker):
            assert event == truth[header["id"]], "a wrong byte"
            assert header["id"] not in seqs
            seqs[header["id"]] = header["seq"]
        assert list(seqs.values()) == list(range(1, len(seqs) + 1))
        assert {ident: seqs.get(ident) for ident in acked} == acked, (k, sectors, power)
        assert broker.stop() == 0
    assert page.died == len(cases)


@pytest.mark.parametrize("power", [LOST, MIXED], ids=["all_of_it", "some_sectors"])
def test_a_power_cut_of_the_whole_system_loses_and_doubles_nothing(
        bhiv, tmp_path, faults, long, power):
    page = faults("", power=power)
    dice = random.Random(20261120 + power)
    with System(bhiv, tmp_path / "d", env=page.env) as system:
        load = Publisher(system.ingress, system.egress, count=10**9, window=500)
        load.start()
        for round_ in range(30 if long else 4):
            goal = len(load.acked) + dice.randrange(50, 1500)
            eventually(lambda goal=goal: load.error or len(load.acked) > goal, 60, 0.001, "acks")
            page.seed = round_
            page.cut = 1
            system.kill_all()
            page.cut = 0
            system.start()
        load.halt.set()
        load.join(30)
        assert load.error is None, load.error
        assert check(system, load.acked)["events"] > 100
        assert system.stop() == 0


@pytest.mark.parametrize("part", ["bucket", "karma"])
def test_a_torn_write_of_a_service_is_made_up_for_by_the_journal(bhiv, tmp_path, faults, long, part):
    page = faults(part, power=LOST)
    dice = random.Random(20261120)
    acked = {}
    with System(bhiv, tmp_path / "d", env=page.env) as system:
        for round_ in range(60 if long else 3):
            page.seed, page.power = round_, (LOST, MIXED)[round_ % 2]
            pid = system.restarted(part, 0)
            page.arm(WRITE, DIE, start=dice.randrange(1, 12), count=1,
                     size=dice.randrange(65) * SECTOR)
            load = Publisher(system.ingress, system.egress, count=10**9, window=10,
                             name=f"load{round_}")
            load.start()
            eventually(lambda round_=round_: page.died > round_ or load.error, 60, 0.001, "a death")
            load.halt.set()
            load.join(30)
            assert load.error is None, load.error
            acked.update(load.acked)
            system.restarted(part, pid)
        page.clear()
        check(system, acked)


def test_what_bucket_and_karma_kept_is_there_again_from_the_journal_alone(system):
    """Their stores are lost altogether: what the journal makes of them is the same to the last bit."""
    load = Publisher(system.ingress, system.egress, count=1500)
    load.start()
    load.join(60)
    check(system, load.acked)

    def hashes():
        with Peer(system.ingress, system.egress) as peer:
            return [peer.ask(f"req.{name}.state_hash", {})[1]["state_hash"]
                    for name in ("bucket", "karma")]

    before = hashes()
    system.stop()
    for name in ("bucket", "karma"):
        for file in (system.folder / name).iterdir():
            file.unlink()
    system.start()
    check(system, load.acked)
    assert hashes() == before
