"""Karma's rules once more, from docs/contract.md section 5 and the originals' facts, not from the C.

Sums and products are Python floats in the written order; the power of decay is taken with decimal
at 50 digits and rounded once. So the service has to agree to the last bit, not only to 1e-9.
"""

import functools
import hashlib
from dataclasses import dataclass, field
from decimal import Context, Decimal

import msgpack

DAY = 86_400_000_000  # microseconds
HOUR = DAY // 24
ROLES = [("learner", 0), ("volunteer", 50), ("seva", 200), ("guru", 500)]
COLUMNS = ["completing_lessons", "helping_peers", "solving_doubts", "selfless_service", "cheat"]
ALPHA, GAMMA = 0.15, 0.9

# (token, class): (expiry in days, daily decay)
BALANCES = {
    ("DharmaPoints", None): (365, 0.0),
    ("SevaPoints", None): (365, 0.0005),
    ("PunyaTokens", None): (730, 0.0001),
    ("PaapTokens", "minor"): (180, 0.0),
    ("PaapTokens", "medium"): (365, 0.0),
    ("PaapTokens", "maha"): (730, 0.0),
    ("DridhaKarma", None): (1095, 0.00005),
    ("AdridhaKarma", None): (365, 0.001),
    ("SanchitaKarma", None): (None, 0.0),
    ("PrarabdhaKarma", None): (None, 0.0),
    ("Rnanubandhan", "minor"): (365, 0.0),
    ("Rnanubandhan", "medium"): (730, 0.0),
    ("Rnanubandhan", "major"): (1460, 0.0),
}
DHARMA, SEVA, PUNYA = ("DharmaPoints", None), ("SevaPoints", None), ("PunyaTokens", None)
PAAP = {kind: ("PaapTokens", kind) for kind in ("minor", "medium", "maha")}
DEBT = ("Rnanubandhan", "medium")
TIERS = {DHARMA: "low", SEVA: "medium", PUNYA: "high", None: "none"}
# What outlives a life: debts, and what was gathered over lives.
KEPT = [("SanchitaKarma", None), ("PrarabdhaKarma", None)] + [
    ("Rnanubandhan", kind) for kind in ("minor", "medium", "major")]

# action: (token, reward, Q column)
ACTIONS = {
    "completing_lessons": (DHARMA, 5.0, 0),
    "helping_peers": (SEVA, 10.0, 1),
    "solving_doubts": (SEVA, 8.0, 2),
    "selfless_service": (PUNYA, 25.0, 3),
    "cheat": (DHARMA, None, 4),
    "agent_success": (DHARMA, 1.0, 0),
    "agent_failure": (DHARMA, -0.5, 0),
    "agent_execution": (None, 0.0, None),
    "learning_success": (DHARMA, 2.0, 0),
    "learning_adjustment": (DHARMA, 0.0, 0),
    "workflow_success": (SEVA, 1.0, 1),
    "workflow_failure": (SEVA, -0.5, 1),
    "workflow_failed": (SEVA, -0.5, 1),
    "deep_focus_learning": (DHARMA, 1.0, 0),
    "active_engagement": (DHARMA, 0.5, 0),
    "contemplative_learning": (DHARMA, 0.5, 0),
    "attention_drift": (DHARMA, -0.25, 0),
    "task_avoidance": (DHARMA, -0.5, 0),
    "passive_state": (None, 0.0, None),
    "disengagement": (None, 0.0, None),
    "user_activity": (None, 0.0, None),
}
LADDER = [
    (-2.0, "first_offense"),
    (-5.0, "second_offense"),
    (-10.0, "third_offense"),
    (-20.0, "fourth_offense"),
    (-40.0, "fifth_offense"),
    (-100.0, "repeat_offender"),
]
WINDOW = 30 * DAY
REMEMBERED = 100  # cheats; the ladder ends at the sixth
WRONGS = {
    "cheat": "medium", "disrespect_guru": "medium", "break_promise": "minor",
    "harm_others": "maha", "false_speech": "minor", "theft": "medium", "violence": "maha",
}
PRACTICES = ["Jap", "Tap", "Bhakti", "Daan"]
REQUIRED = {"minor": (108, 1, 1, 10), "medium": (1008, 3, 3, 50), "maha": (10008, 7, 7, 100)}
ATONED = {"minor": 2.0, "medium": 5.0, "maha": 10.0}
LOKAS = [  # both bounds inclusive, the first that holds
    ("Swarga", 500, float("inf")), ("Mrityuloka", 0, 499), ("Antarloka", -200, -1),
    ("Naraka", float("-inf"), -201),
]
PRECISE = Context(prec=50)


class Refused(Exception):
    """A command that is refused and changes nothing; its text is the error's code."""


@functools.cache
def logarithm(base):
    return PRECISE.ln(Decimal(base))


def power(base, exponent):
    return float(PRECISE.exp(PRECISE.multiply(logarithm(base), Decimal(exponent))))


def role_of(merit):
    return max([0] + [i for i, (_, bound) in enumerate(ROLES) if merit >= bound])


def loka_of(net):
    for name, low, high in LOKAS:
        if low <= net <= high:
            return name
    return "Mrityuloka"


@dataclass
class User:
    created: int
    clock: int
    role: str
    called: str
    balance: dict = field(default_factory=lambda: dict.fromkeys(BALANCES, 0.0))
    cheats: list = field(default_factory=list)
    actions: int = 0
    ladder: int = 0
    plans: list = field(default_factory=list)
    lives: int = 0

    def merit(self):
        return 1.0 * self.balance[DHARMA] + 1.2 * self.balance[SEVA] + 3.0 * self.balance[PUNYA]

    def paap(self):
        return (1.0 * self.balance[PAAP["minor"]] + 2.5 * self.balance[PAAP["medium"]]
                + 5.0 * self.balance[PAAP["maha"]])

    def net(self):
        return self.merit() - self.paap()

    def weighted(self):
        weights = [0.8, 0.3, 1.0, 1.0, 1.0, 2.0, 4.0]
        total = 0.0
        for weight, name in zip(weights, list(BALANCES)[6:]):
            total = total + weight * self.balance[name]
        return total

    def decay(self, at):
        if at <= self.clock:
            return
        days = (at - self.clock) / DAY
        for name, (expiry, rate) in BALANCES.items():
            if rate and self.balance[name] > 0:
                self.balance[name] *= power(1.0 - rate, days)
            if expiry and (at - self.created) // DAY >= expiry:
                self.balance[name] = 0.0
        self.clock = at

    def settle(self):
        self.ladder = role_of(self.merit())
        self.role = ROLES[self.ladder][0]

    def completed(self):
        return sum(1 for plan in self.plans if plan["completed"])

    def state_hash(self):
        """SHA-256 over the ledger as msgpack writes it (services/karma/user.h)."""
        balances = [value if value != 0 else 0 for value in self.balance.values()]
        state = [2, self.created, self.clock, self.actions, self.ladder, self.role, self.called,
                 balances, self.cheats, len(self.plans), self.completed(), self.lives]
        return hashlib.sha256(msgpack.packb(state)).hexdigest()


class Model:
    def __init__(self):
        self.users = {}
        self.q = [[0.0] * len(COLUMNS) for _ in ROLES]
        self.weeks = {}  # Monday, microseconds: [count, dharma, seva, paap, punya]
        self.events = 0

    # --- Learning and counting

    def step(self, before, column, reward, after):
        old = self.q[before][column]
        self.q[before][column] = old + ALPHA * (reward + GAMMA * max(self.q[after]) - old)

    def count(self, at, paid=()):
        """One event, and what it paid, in the week of `at`. 1970-01-05 was a Monday."""
        self.events += 1
        monday = (at - 4 * DAY) // (7 * DAY) * (7 * DAY) + 4 * DAY
        week = self.weeks.setdefault(monday, [0, 0.0, 0.0, 0.0, 0.0])
        week[0] += 1
        for name, amount in paid:
            place = {"DharmaPoints": 1, "SevaPoints": 2, "PaapTokens": 3, "PunyaTokens": 4}
            if name and name[0] in place:
                week[place[name[0]]] += amount

    def user(self, user_id):
        if user_id not in self.users:
            raise Refused("USER_NOT_FOUND")
        return self.users[user_id]

    # --- Commands. `at` is the time to apply with; each returns what the service answers.

    def apply(self, topic, body, at):
        return {
            "karma.life_event": self.life_event, "karma.appeal": self.appeal,
            "karma.atonement": self.atonement, "karma.redeem": self.redeem,
            "karma.death_event": self.death,
        }[topic](at=at, **body)

    def life_event(self, at, user_id, action, role, note=None, affected_user_id=None):
        if action not in ACTIONS:
            raise Refused("INVALID_REQUEST")
        user = self.users.setdefault(user_id, User(at, at, role, role))
        user.decay(at)
        token, reward, column = ACTIONS[action]
        if action == "cheat":
            recent = [then for then in user.cheats if at - then <= WINDOW]
            user.cheats = (recent + [at])[-REMEMBERED:]
            reward, name = LADDER[min(len(user.cheats), len(LADDER)) - 1]
        before = role_of(user.merit())
        if token:
            user.balance[token] += reward
        merit = user.merit()
        after = role_of(merit)
        if column is not None:
            self.step(before, column, reward, after)
        owed = abs(reward) * 0.5 if action == "cheat" and affected_user_id not in (None, user_id) \
            else None
        if owed is not None:
            user.balance[DEBT] += owed
        user.settle()
        user.called = role
        user.actions += 1
        self.count(at, [(token, reward)])
        answer = {
            "user_id": user_id,
            "action": action,
            "current_role": user.role,
            "predicted_next_role": user.role,
            "merit_score": merit,
            "note": note,
        }
        if owed is not None:
            answer["owed"] = owed
        if action == "cheat":
            return answer | {
                "penalty_token": token[0],
                "penalty_value": reward,
                "penalty_level": len(user.cheats),
                "penalty_name": name,
                "cheats_in_period": len(user.cheats),
                "action_flow": "action -> intent -> penalty_level -> punishment -> role_adjustment",
            }
        return answer | {
            "reward_token": token[0] if token else None,
            "reward_tier": TIERS[token],
            "action_flow": "action -> intent -> merit -> reward_tier -> redemption",
        }

    def appeal(self, at, user_id, action):
        user = self.user(user_id)
        if action not in WRONGS:
            raise Refused("INVALID_REQUEST")
        if len(user.plans) - user.completed() >= 1000:
            raise Refused("CONFLICT")
        user.decay(at)
        plan = {
            "plan_id": f"{user_id}_{action}_{len(user.plans)}",
            "class": WRONGS[action],
            "requirements": dict(zip(PRACTICES, REQUIRED[WRONGS[action]])),
            "progress": dict.fromkeys(PRACTICES, 0.0),
            "proofs": 0,
            "completed": False,
        }
        user.plans.append(plan)
        self.count(at)
        return plan

    def atonement(self, at, user_id, plan_id, atonement_type, amount, tx_hash=None):
        if not 0 < amount <= 1_000_000_000:
            raise Refused("VALIDATION_FAILED")
        plans = self.users[user_id].plans if user_id in self.users else []
        plan = next((plan for plan in plans if plan["plan_id"] == plan_id), None)
        if plan is None or atonement_type not in PRACTICES:
            raise Refused("INVALID_REQUEST")
        if atonement_type == "Daan" and not tx_hash:
            raise Refused("INVALID_REQUEST")
        if plan["completed"]:
            raise Refused("CONFLICT")
        user = self.users[user_id]
        user.decay(at)
        plan["progress"][atonement_type] += amount
        plan["proofs"] += 1
        paid = []
        if all(plan["progress"][each] >= plan["requirements"][each] for each in PRACTICES):
            plan["completed"] = True
            reward, name = ATONED[plan["class"]], PAAP[plan["class"]]
            before = role_of(user.merit())
            user.balance[name] += reward
            self.step(before, COLUMNS.index("helping_peers"), reward, role_of(user.merit()))
            user.settle()
            user.actions += 1
            paid = [(name, reward)]
        self.count(at, paid)
        return plan

    def redeem(self, at, user_id, token_type, amount):
        if not 0 < amount <= 1_000_000_000:
            raise Refused("VALIDATION_FAILED")
        user = self.user(user_id)
        if (token_type, None) not in BALANCES:
            raise Refused("INVALID_REQUEST")
        kept = user.clock, dict(user.balance)
        user.decay(at)
        if user.balance[token_type, None] < amount:
            user.clock, user.balance = kept
            raise Refused("INVALID_REQUEST")
        user.balance[token_type, None] -= amount
        user.settle()
        user.actions += 1
        self.count(at)
        return {"remaining": user.balance[token_type, None], "merit_score": user.merit(),
                "role": user.role}

    def death(self, at, user_id):
        user = self.user(user_id)
        user.decay(at)
        net, merit = user.net(), user.merit()
        answer = {
            "loka": loka_of(net),
            "carryover": {
                "carryover_punya": net * 0.1 if net > 0 else 0.0,
                "carryover_paap": -net * 0.3 if net < 0 else 0.0,
                "starting_level": "volunteer" if net > 100 else "learner",
            },
            "net_karma": net,
            "merit_score": merit,
            "final_balances": self.balances(user),
        }
        next_life = dict.fromkeys(BALANCES, 0.0)
        for name in KEPT:
            next_life[name] = user.balance[name]
        next_life[PUNYA] = answer["carryover"]["carryover_punya"]
        for name in PAAP.values():
            next_life[name] = answer["carryover"]["carryover_paap"] / 3
        user.balance = next_life
        user.created = user.clock
        user.ladder = role_of(user.merit())
        user.role = answer["carryover"]["starting_level"]
        user.lives += 1
        self.count(at)
        return answer | {"lives": user.lives}

    # --- What can be asked

    @staticmethod
    def balances(user):
        balances = {}
        for (token, kind), value in user.balance.items():
            if kind:
                balances.setdefault(token, {})[kind] = value
            else:
                balances[token] = value
        return balances

    def profile(self, user_id):
        """What the service's profile says, but for its message texts and time."""
        user = self.users[user_id]
        balance = user.balance
        dharma, seva, punya = balance[DHARMA], balance[SEVA], balance[PUNYA]
        return {
            "user_id": user_id,
            "role": user.role,
            "merit_score": user.merit(),
            "paap_score": user.paap(),
            "net_karma": user.net(),
            "weighted_karma_score": user.weighted(),
            "balances": self.balances(user),
            "action_stats": {
                "total_actions": user.actions,
                "pending_atonements": len(user.plans) - user.completed(),
                "completed_atonements": user.completed(),
            },
            "guidance": ["engagement_suggested"] if dharma + seva + punya < 10 else [],
            "module_scores": {
                "finance": 1.5 * seva + 2.0 * punya,
                "insightflow": 2.5 * dharma,
                "gurukul": 1.5 * dharma + 2.0 * seva,
                "game": dharma + 1.2 * seva + 1.5 * punya,
            },
            "state_hash": user.state_hash(),
        }

    def top(self, by, limit):
        """User ids and values, the highest first, of equals the later id."""
        def value(user):
            if by in ("merit", "net"):
                return user.merit() if by == "merit" else user.net()
            return sum(amount for (token, _), amount in user.balance.items() if token == by)
        rows = [(value(user), user_id) for user_id, user in self.users.items()]
        if by not in ("merit", "net"):
            rows = [row for row in rows if row[0] != 0]
        rows.sort(key=lambda row: (row[0], row[1].encode()), reverse=True)
        return [(user_id, amount) for amount, user_id in rows[:limit]]
