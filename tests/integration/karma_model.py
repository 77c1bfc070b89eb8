"""Karma's rules once more, from docs/contract.md section 5 and the originals' facts, not from the C.

Sums and products are Python floats in the written order; the power of decay is taken with decimal
at 60 digits and rounded once. So the service has to agree to the last bit, not only to 1e-9.
"""

from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext

DAY = 86_400_000_000  # microseconds
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
TIERS = {DHARMA: "low", SEVA: "medium", PUNYA: "high", None: "none"}

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


def power(base, exponent):
    with localcontext(Context(prec=60)):
        return float((Decimal(base).ln() * Decimal(exponent)).exp())


def role_of(merit):
    return max([0] + [i for i, (_, bound) in enumerate(ROLES) if merit >= bound])


@dataclass
class User:
    created: int
    clock: int
    role: str
    balance: dict = field(default_factory=lambda: dict.fromkeys(BALANCES, 0.0))
    cheats: list = field(default_factory=list)
    actions: int = 0

    def merit(self):
        return 1.0 * self.balance[DHARMA] + 1.2 * self.balance[SEVA] + 3.0 * self.balance[PUNYA]

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


class Model:
    def __init__(self):
        self.users = {}
        self.q = [[0.0] * len(COLUMNS) for _ in ROLES]

    def apply(self, user_id, action, role, at, note=None):
        """One life event; returns what the service answers."""
        user = self.users.setdefault(user_id, User(at, at, role))
        user.decay(at)
        token, reward, column = ACTIONS[action]
        if action == "cheat":
            user.cheats = [then for then in user.cheats if at - then <= WINDOW] + [at]
            reward, name = LADDER[min(len(user.cheats), len(LADDER)) - 1]
        before = role_of(user.merit())
        if token:
            user.balance[token] += reward
        merit = user.merit()
        after = role_of(merit)
        if column is not None:
            old = self.q[before][column]
            self.q[before][column] = old + ALPHA * (reward + GAMMA * max(self.q[after]) - old)
        user.role = ROLES[after][0]
        user.actions += 1
        answer = {
            "user_id": user_id,
            "action": action,
            "current_role": user.role,
            "predicted_next_role": user.role,
            "merit_score": merit,
            "note": note,
        }
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

    def profile(self, user_id):
        """What the service's profile says, but for its message texts, time and hash."""
        user = self.users[user_id]
        balance = user.balance
        dharma, seva, punya = balance[DHARMA], balance[SEVA], balance[PUNYA]
        balances = {}
        for (token, kind), value in balance.items():
            if kind:
                balances.setdefault(token, {})[kind] = value
            else:
                balances[token] = value
        return {
            "user_id": user_id,
            "role": user.role,
            "merit_score": user.merit(),
            "paap_score": 0.0,  # nothing in a life event makes Paap
            "net_karma": user.merit(),
            "weighted_karma_score": 0.0,
            "balances": balances,
            "action_stats": {
                "total_actions": user.actions,
                "pending_atonements": 0,
                "completed_atonements": 0,
            },
            "guidance": ["engagement_suggested"] if dharma + seva + punya < 10 else [],
            "module_scores": {
                "finance": 1.5 * seva + 2.0 * punya,
                "insightflow": 2.5 * dharma,
                "gurukul": 1.5 * dharma + 2.0 * seva,
                "game": dharma + 1.2 * seva + 1.5 * punya,
            },
        }
