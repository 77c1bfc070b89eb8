"""Holds the task queue to its word, from the journal alone: a second model of it, written from its schema.

What was said to the queue is taken in the order of the journal; what the queue said of it stands behind the record
that its header names as the cause. At each of its words the model says whether it could be said then: who waited,
who was free, which lease was over. After each record it says what should have been said and was not.
"""

import bisect
import heapq
from collections import Counter, defaultdict

RANKS = ["critical", "high", "normal", "low"]
SLA_S = [300, 1800, 14400, 86400]
RETRIES = [3, 1, 1, 1]
OUTPUTS = ("task.started", "task.retry", "task.escalated", "task.sla.warning", "task.sla.breached", "task.done")
DUE_SURE = 500  # fewer than so many due at once are all done by one clock
FILTERS = ["task.", "layer3.intent.", "governance."]


def us(seconds):
    return round(seconds * 1e6)


class Task:
    def __init__(self, name, seq, at, body):
        rank = RANKS.index(body["priority"]) if body.get("priority") in RANKS else 2
        self.name, self.seq, self.asked_rank = name, seq, rank
        self.type, self.handler = body["task_type"], body.get("handler") or "unknown"
        self.sla = us(body.get("sla_seconds") or SLA_S[rank])
        self.lease = us(body["lease_seconds"]) if body.get("lease_seconds") else None
        retries = body.get("max_retries")
        self.max_retries = RETRIES[rank] if retries is None else retries
        self.attempts, self.lives = 0, 0
        self.begin(at, at + us(body.get("delay_seconds") or 0))

    def begin(self, at, ready):
        """A life: from its enqueueing, or when a dead letter was put back."""
        self.rank, self.status, self.worker = self.asked_rank, "waiting", None
        self.queued, self.ready, self.started, self.until = at, ready, None, None
        self.failures = self.losses = 0
        self.said = set()
        self.lives += 1
        self.version = 0

    @property
    def key(self):
        return (self.rank, self.queued + self.sla, self.seq)


class Worker:
    def __init__(self, body):
        self.instance = body.get("instance")
        self.running = set()
        self.take(body)

    def take(self, body):
        self.handlers, self.slots = set(body["handlers"]), body.get("slots") or 1


class Checker:
    def __init__(self, records):
        self.at = {header["seq"]: header["at"] for _, header, _ in records}
        self.tasks, self.workers = {}, {}
        self.heaps = defaultdict(list)  # handler -> (key, version, name) of tasks that could start for sure
        self.ages = defaultdict(list)  # handler, rank -> their seqs, sorted
        self.delayed = {}  # name -> task that may start from .ready on, but need not be known to
        self.config = {"lease_seconds": 30, "losses_max": 5, "backoff_seconds": 1}
        self.strained, self.reserve, self.gated, self.escalate = False, 0, False, 50
        self.seen = set()  # (source, id) of what was said to the queue
        self.counts = Counter()
        self.dispatch_us, self.queued_us = [], []
        self.cause = None  # topic, header, body of the record in hand
        self.expected = []  # what must be so once all was said because of it
        self.timeline = sorted((self.place(*record) for record in records), key=lambda item: item[:3])

    @staticmethod
    def place(topic, header, body):
        if topic in OUTPUTS:
            assert header.get("source") == "htm", (topic, header)
            cause, n = header["cause"]
            return cause, 1, n, topic, header, body
        return header["seq"], 0, 0, topic, header, body

    # --- Waiting ---

    def wait(self, task, sure):
        task.status, task.worker = "waiting", None
        task.version += 1
        if not sure:
            self.delayed[task.name] = task
            return
        self.delayed.pop(task.name, None)
        heapq.heappush(self.heaps[task.handler], (task.key, task.version, task.name))
        bisect.insort(self.ages[task.handler, task.rank], task.seq)

    def leave(self, task):
        """It waits no more, or elsewhere."""
        task.version += 1
        if self.delayed.pop(task.name, None) is None:
            ages = self.ages[task.handler, task.rank]
            at = bisect.bisect_left(ages, task.seq)
            if at < len(ages) and ages[at] == task.seq:
                del ages[at]

    def has_room(self, handler):
        """Whether the reserve leaves one more slot to a normal or low task."""
        reserve = max(self.reserve, 75 if self.strained else 0)
        if not reserve:
            return True
        serving = [worker for worker in self.workers.values() if handler in worker.handlers]
        slots = sum(worker.slots for worker in serving)
        used = sum(self.tasks[name].handler == handler and self.tasks[name].rank > 1
                   for worker in self.workers.values() for name in worker.running)
        return used < slots - slots * reserve // 100

    def first(self, handler):
        heap = self.heaps[handler]
        while heap:
            key, version, name = heap[0]
            if self.tasks[name].version == version:
                return self.tasks[name]
            heapq.heappop(heap)
        return None

    def release(self, task):
        if task.worker in self.workers:
            self.workers[task.worker].running.discard(task.name)
        task.worker = None

    # --- What was said to the queue ---

    def take(self, topic, header, body):
        ident = (header.get("source"), header.get("id"))
        self.cause = (topic, header, body)
        if ident in self.seen:
            return
        self.seen.add(ident)
        handle = getattr(self, "on_" + topic.replace(".", "_"), None)
        if handle is not None:
            handle(header["seq"], header["at"], body)
        self.counts[topic] += 1

    def on_task_config(self, seq, at, body):
        self.config = body

    def on_task_enqueue(self, seq, at, body):
        name = body.get("task_id") or f"task_{seq}"
        if name in self.tasks or not isinstance(body.get("task_type"), str):
            return
        task = self.tasks[name] = Task(name, seq, at, body)
        self.wait(task, task.ready == at)

    def on_layer3_intent_task(self, seq, at, body):
        details = body.get("details") or {}
        healing = "self_healing" if body["intent"] == "remediate_drift" else "unknown"
        task = Task(f"task_{seq}", seq, at, {
            "priority": body.get("priority"), "sla_seconds": body.get("sla_seconds"),
            "task_type": body.get("task_type") or details.get("action") or body["intent"],
            "handler": body.get("handler") or healing})
        self.tasks[task.name] = task
        if self.gated:
            task.status = "held"
        else:
            self.wait(task, True)

    def on_governance_gate(self, seq, at, body):
        self.gated = body["on"]

    def on_governance_verdict(self, seq, at, body):
        task = self.tasks.get(f"task_{body['intent_seq']}")
        if task is None or task.status != "held":
            return
        if body["allowed"]:
            self.wait(task, True)
        else:
            self.expect_over(task, "cancelled")

    def on_task_cancel(self, seq, at, body):
        task = self.tasks.get(body["task_id"])
        if task is not None and task.status in ("held", "waiting", "running"):
            self.expect_over(task, "cancelled")

    def on_task_requeue(self, seq, at, body):
        task = self.tasks.get(body["task_id"])
        if task is not None and task.status == "dead":
            task.begin(at, at)
            self.wait(task, True)

    def on_task_worker_ready(self, seq, at, body):
        known = self.workers.get(body["worker"])
        if known is not None and known.instance == body.get("instance"):
            known.take(body)
            return
        self.lose(known)
        self.workers[body["worker"]] = Worker(body)

    def on_task_worker_gone(self, seq, at, body):
        known = self.workers.get(body["worker"])
        if known is not None and body.get("instance") in (None, known.instance):
            self.lose(known)
            del self.workers[body["worker"]]

    def lose(self, worker):
        for name in worker.running if worker else ():
            task, attempt = self.tasks[name], self.tasks[name].attempts
            self.expected.append((lambda task=task, attempt=attempt: task.status != "running" or
                                  task.attempts != attempt, f"{name} to leave the worker that is gone"))

    def on_task_renew(self, seq, at, body):
        task = self.tasks.get(body["task_id"])
        if task and task.status == "running" and (task.attempts, task.worker) == (body["attempt"], body["worker"]):
            task.until = at + self.lease_of(task)

    def on_task_completed(self, seq, at, body):
        task = self.tasks.get(body["task_id"])
        if task is None or task.status not in ("waiting", "running") or task.attempts == 0:
            self.counts["duplicates"] += 1
        else:
            self.expect_over(task, "completed")

    def on_task_failed(self, seq, at, body):
        task = self.tasks.get(body["task_id"])
        if task is None or task.status != "running" or body.get("attempt") not in (None, task.attempts):
            self.counts["late failures"] += 1
            return
        attempt = task.attempts
        self.expected.append((lambda: task.status != "running" or task.attempts != attempt,
                              f"{task.name}'s failure to count"))

    def on_task_clock(self, seq, at, body):
        due = [task for task in self.delayed.values() if task.ready <= at]
        if len(due) < DUE_SURE:
            for task in due:
                self.wait(task, True)

    def on_task_pressure(self, seq, at, body):
        self.strained = body["strained"]

    def on_task_order(self, seq, at, body):
        self.reserve = body.get("reserve", self.reserve)
        self.escalate = body.get("escalate_percent", self.escalate)

    def expect_over(self, task, status):
        self.expected.append((lambda: task.status == status, f"{task.name} to be {status}, not {task.status}"))

    def lease_of(self, task):
        return task.lease or us(self.config["lease_seconds"])

    # --- What it said ---

    def hear(self, topic, header, body):
        task = self.tasks.get(body["task_id"])
        assert task is not None, f"{topic} of a task that is not known: {body}"
        at = self.at[header["cause"][0]]
        getattr(self, "said_" + topic.split(".", 1)[1].replace(".", "_"))(task, at, body)
        self.counts[topic] += 1

    def said_started(self, task, at, body):
        assert task.status == "waiting", f"started while it was {task.status}: {body}"
        assert body["attempt"] == task.attempts + 1 and body["at"] == at and body["cause"] == self.cause[1]["seq"]
        assert (body["handler"], body["task_type"]) == (task.handler, task.type), body
        assert body["priority"] == RANKS[task.rank], (body, task.rank)
        assert task.ready <= at, f"started before its delay was over: {body}"
        assert body["queued_us"] == at - task.queued, (body, task.queued)
        best = self.first(task.handler)
        assert best is None or best is task or task.key < best.key, f"{task.key} before {best.key}: {body}"
        assert task.rank <= 1 or self.has_room(task.handler), f"started though its share is used up: {body}"
        worker = self.workers.get(body["worker"])
        assert worker is not None and task.handler in worker.handlers, f"to one who cannot: {body}"
        assert len(worker.running) < worker.slots, f"to one who has no free slot: {body}"
        lower = sum(bisect.bisect_left(self.ages[task.handler, rank], task.seq) for rank in range(task.rank + 1, 4))
        assert body["overtook"] == lower or self.delayed, f"overtook {lower}: {body}"
        self.counts["overtakes"] += 1 if body["overtook"] else 0
        self.leave(task)
        task.status, task.worker, task.started = "running", body["worker"], at
        task.attempts += 1
        task.until = at + self.lease_of(task)
        worker.running.add(task.name)
        self.dispatch_us.append(body["dispatch_us"])
        self.queued_us.append(body["queued_us"])

    def said_retry(self, task, at, body):
        assert task.status == "running" and body["attempt"] == task.attempts, (body, task.status, task.attempts)
        topic, _, cause = self.cause
        if body["reason"] == "failed":
            assert topic == "task.failed" and cause["task_id"] == task.name and cause.get("retry") is not False
            task.failures += 1
            assert task.failures <= task.max_retries, f"tried too often: {body}"
            backoff = self.config["backoff_seconds"] * min(2 ** (task.failures - 1), 60)
            assert abs(body["delay_seconds"] - backoff) < 1e-6, (body, backoff)
        else:
            self.lost(task, at, body["reason"])
            assert task.losses < self.config["losses_max"] and body["delay_seconds"] == 0, body
        task.ready = at + us(body["delay_seconds"])
        self.release(task)
        self.wait(task, task.ready == at)

    def lost(self, task, at, reason):
        if reason == "lapsed":
            assert at >= task.until, f"its lease had {task.until - at} us left: {task.name}"
        else:
            assert reason == "gone" and self.cause[0].startswith("task.worker."), (reason, self.cause)
        task.losses += 1
        self.counts["lost"] += 1

    def said_escalated(self, task, at, body):
        assert task.status == "waiting" and body["from"] == RANKS[task.rank], (body, task.rank)
        share = (task.queued + task.sla - at) / task.sla
        assert abs(body["left_seconds"] - share * task.sla / 1e6) < 1e-3, body
        rank = RANKS.index(body["to"])
        assert rank < task.rank and rank == (0 if share < 0.2 else 1) and share < self.escalate / 100, (body, share)
        sure = task.name not in self.delayed
        self.leave(task)
        task.rank = rank
        self.wait(task, sure)

    def said_sla_warning(self, task, at, body):
        self.said_sla(task, at, body, "warning", 0.8)

    def said_sla_breached(self, task, at, body):
        self.said_sla(task, at, body, "breached", 1.0)

    def said_sla(self, task, at, body, word, share):
        assert word not in task.said, f"twice: {body}"
        assert at - task.queued >= share * task.sla - 1, f"too early: {body}"
        assert body["status"] == task.status and body["priority"] == RANKS[task.rank], (body, task.status)
        task.said.add(word)

    def said_done(self, task, at, body):
        assert task.status in ("held", "waiting", "running"), f"its second last word: {body}"
        topic, _, cause = self.cause
        status = body["status"]
        if status == "completed":
            assert topic == "task.completed" and cause["task_id"] == task.name
            assert body.get("result", {}) == (cause.get("result") or {}), (body, cause)
        else:
            assert body.get("reason"), f"without a reason: {body}"
        if status == "dead":
            assert task.status == "running", f"dead without an attempt: {body}"
            failed = topic == "task.failed" and cause["task_id"] == task.name
            if not failed:
                self.lost(task, at, "gone" if topic.startswith("task.worker.") else "lapsed")
            given_up = failed and (cause.get("retry") is False or task.failures == task.max_retries)
            assert given_up or (not failed and task.losses == self.config["losses_max"]), (body, vars(task))
        assert body["attempts"] == task.attempts, (body, task.attempts)
        assert body["sla_met"] == (status == "completed" and at <= task.queued + task.sla), (body, at, task.queued)
        if task.status == "waiting":
            self.leave(task)
        self.release(task)
        task.status = status
        self.counts[status] += 1

    # --- After each record ---

    def settle(self):
        for is_so, what in self.expected:
            assert is_so(), f"{self.cause}: expected {what}"
        self.expected = []
        for handler in list(self.heaps):
            task = self.first(handler)
            if task is None or (task.rank > 1 and not self.has_room(handler)):
                continue
            idle = [name for name, worker in self.workers.items()
                    if handler in worker.handlers and len(worker.running) < worker.slots]
            assert not idle, f"{task.name} waits while {idle} could take it: {self.cause}"

    def run(self, all_over=True):
        """Asserts whatever does not fit; returns what was counted."""
        for _, is_output, _, topic, header, body in self.timeline:
            if is_output:
                assert header["cause"][0] == self.cause[1]["seq"], f"{topic} without its cause: {header}"
                self.hear(topic, header, body)
                continue
            if self.cause is not None:
                self.settle()
            self.take(topic, header, body)
        self.settle()
        open_now = [task.name for task in self.tasks.values() if task.status in ("held", "waiting", "running")]
        assert not (all_over and open_now), f"{len(open_now)} are not over: {open_now[:5]}"
        return self.counts


def check(peer, all_over=True):
    """Reads the whole journal and holds the queue to it. Returns the checker, with its counts."""
    checker = Checker([tuple(record) for record in peer.fetch_all(FILTERS)])
    checker.run(all_over)
    return checker
