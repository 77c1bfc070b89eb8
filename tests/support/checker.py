"""Holds a system to its guarantees after a fault: acknowledged, stored, doubled, ordered, karma."""

from collections import Counter

import requests

from .peer import Peer
from .system import eventually


FILTERS = {"bucket": ["core.event.", "bucket."], "karma": ["karma."]}


def settled(system, timeout=120):
    """Waits until Bucket and Karma have applied the whole journal and said what follows from it."""
    place = {name: (1, 0) for name in FILTERS}  # where to read on; the last seq that concerns it

    def behind(peer, name):
        start, last = place[name]
        while True:
            page = peer.fetch(f"settled-{name}", FILTERS[name], start, max=5000)
            start = page["next"]
            last = page["records"][-1][1]["seq"] if page["records"] else last
            if start > page["head"]:
                break
        place[name] = start, last
        header, health = peer.ask(f"req.{name}.health", {}, timeout=2)
        if header["status"] != "success" or health["outbox"] or health["cursor"] < last:
            return f"{name}, up to {last}: {health}"
        return None

    def look():
        try:
            with Peer(system.ingress, system.egress, source="checker") as peer:
                # Bucket first, and once more at the end: what it says last makes Karma lag again.
                for name in ("bucket", "karma", "bucket"):
                    late = behind(peer, name)
                    if late:
                        return late
                return None
        except (TimeoutError, AssertionError) as error:
            return str(error)

    seen = [None]
    try:
        eventually(lambda: seen.append(look()) or seen[-1] is None, timeout, 0.1, "a settled system")
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen[-1]}") from None


def key_announced(system):
    """Waits until Bucket has said its signing key, which it does within a second of its first start."""
    with Peer(system.ingress, system.egress, source="checker") as peer:
        eventually(lambda: (keys := peer.ask("req.crypto.list", {})[1].get("keys")) and
                   all(key["state"] != "announcing" for key in keys), what="Bucket's key in the journal")
    settled(system)


def ask(system, request, path, **params):
    """Asks by HTTP, or by the bus where no bridge runs."""
    if "bridge" in system.names():
        return requests.get(system.url(request.split(".")[0], path), params=params, timeout=30).json()
    with Peer(system.ingress, system.egress, source="checker") as peer:
        header, answer = peer.ask(f"req.{request}", params, timeout=30)
        assert header["status"] == "success", answer
        return answer


def stored_events(system):
    """All that Bucket keeps, page by page."""
    after = 0
    while True:
        answer = ask(system, "bucket.events", "/core/events", after_seq=after, limit=1000)
        yield from answer["events"]
        if answer["showing"] == 0:
            return
        after = answer["next"]


def check(system, acked):
    """`acked`: id -> seq of everything that was acknowledged. Returns what was counted."""
    settled(system)
    with Peer(system.ingress, system.egress, source="checker") as peer:
        journal = list(peer.fetch_all())
    seqs = [header["seq"] for _, header, _ in journal]
    assert seqs == list(range(1, len(seqs) + 1)), "the journal's seq has a gap"
    at = [header["at"] for _, header, _ in journal]
    assert at == sorted(at), "the journal's clock went back"
    last = {}
    for topic, header, _ in journal:
        family = topic.split(".")[0]
        assert header["prev"] == last.get(family, 0), f"prev of {header['seq']}"
        last[family] = header["seq"]

    events = {header["id"]: header["seq"] for topic, header, _ in journal
              if topic.startswith("core.event.")}
    count = Counter(header["id"] for topic, header, _ in journal if topic.startswith("core.event."))
    doubled = [ident for ident, n in count.items() if n > 1]
    assert not doubled, f"journaled twice: {doubled[:3]}"
    # A duplicate's ack may say 0 where 8,192 of its stream came after it: it is there all the same.
    lost = [ident for ident, seq in acked.items() if events.get(ident, -1) != (seq or events.get(ident))]
    assert not lost, f"{len(lost)} acknowledged and not in the journal where the ack said: {lost[:3]}"

    stored = [(event["seq"], event["event_id"]) for event in stored_events(system)]
    assert stored == sorted((seq, ident) for ident, seq in events.items()), \
        "Bucket is not the journal's events, once each, in order"

    lives = [(header, body) for topic, header, body in journal if topic == "karma.life_event"]
    causes = Counter(header["cause"][0] for header, _ in lives if header.get("source") == "bhiv_bucket")
    assert causes == Counter(dict.fromkeys(events.values(), 1)), \
        "not one life event for each stored event"
    actions = Counter(body["user_id"] for _, body in lives)
    for user, expected in actions.items():
        who = {} if "bridge" in system.names() else {"user_id": user}
        profile = ask(system, "karma.profile", f"/api/v1/karma/{user}", **who)
        assert profile["action_stats"]["total_actions"] == expected, user
        replay = ask(system, "karma.replay", f"/api/v1/karma/{user}/replay", **who)
        assert replay["matches"] is True, replay
        assert replay["events"] == expected
    return {"journal": len(journal), "events": len(events), "users": len(actions)}
