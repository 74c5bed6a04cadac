"""
Temperatures for a gateway, refined every night
===============================================

A gateway stands before a language model. It asks for a temperature by topic, gets it in
microseconds from a table in JSON, and knows nothing else. At night another process learns from
what came back and writes the table anew. Here are thirty nights, with a model that changes, a
topic that is new, and a conversation that should not notice.
"""

# %%
# Cold start
# ----------
# There are no data yet, only rules: what somebody expects of each topic. A topic without a rule
# gets their geometric mean. The context is a column of X, here number 0. The table may be served
# between 0.6 and 2.2 and moves by at most a tenth in log T, some 10 %, from one night to the next.
from skcalib import AdaptiveTemperatureScaling
from skcalib.decoding import ContextPolicy

TOPIC, N_TOKENS = 0, 20
RULES = {"medical": 1.5, "law": 1.5, "code": 1.2, "story": 1.0}
learner = ContextPolicy(
    AdaptiveTemperatureScaling(
        context=[TOPIC],
        prior=RULES,
        bounds=(0.6, 2.2),
        max_change=0.1,
        forget=0.998,
        classes=range(N_TOKENS),
    )
)
published = learner.to_json()
print(published)

# %%
# The gateway gets this text, and that is all it has: no model, no rows, no labels. A new table
# brings a new cache, so that no answer outlives its table.
from functools import lru_cache


class Gateway:
    def load(self, text):
        policy = ContextPolicy.from_json(text)
        self.cached = lru_cache(256)(lambda *items: policy.temperature(dict(items)))
        self.policy = policy


gateway = Gateway()
gateway.load(published)
for topic in ("medical", "story", "poem"):
    print(f"{topic:<8} {gateway.policy.temperature({TOPIC: topic}):.3f}")

# %%
# Is the cache worth it?
# ----------------------
# Requests of 2000 users, few of whom ask most. A cache whose keys are all that is known of a
# request sees many of them only once; one whose keys are what the table reads hits nearly always.
import time

import numpy as np

USER, N_REQUESTS = 1, 20_000
rng = np.random.default_rng(0)
users = rng.zipf(1.3, N_REQUESTS) % 2000
topics = rng.choice(list(RULES), N_REQUESTS)
requests = [{TOPIC: str(t), USER: int(u)} for t, u in zip(topics, users, strict=True)]
ways = {
    "the table": lambda request: gateway.policy.temperature(request),
    "cache of whole contexts": lambda request: gateway.cached(*request.items()),
    "cache of topics": lambda request: gateway.cached((TOPIC, request[TOPIC])),
}
print("                         microseconds   hits")
for name, answer in ways.items():
    seconds = []
    for _ in range(3):
        gateway.load(published)
        start = time.perf_counter()
        for request in requests:
            answer(request)
        seconds.append(time.perf_counter() - start)
    hits = gateway.cached.cache_info().hits / N_REQUESTS
    print(f"{name:<24} {1e6 * min(seconds) / N_REQUESTS:9.1f} {hits:11.0%}")

# %%
# Hardly ever. The table itself answers in about three microseconds (more on a busy machine), a
# language model thinks for milliseconds about every token. With the right keys a cache saves most
# of that, with the wrong ones little. It is worth having where what lies behind it is slow: a table
# on the other side of a network, a rule that is a function and looks something up, a model that
# finds the topic of a text.

# %%
# Thirty nights
# -------------
# What comes back are the model's raw scores and the token that was right. Here they are drawn, so
# that the true temperatures are known. The rule for medical questions is too low. On day 8 a new
# version of the model is far too sure of its code: its temperature jumps from 1 to 2.6, beyond what
# may be served. On day 14 the first poems arrive, for which there is no rule.
from skcalib.datasets import make_miscalibrated_logits

N_DAYS, N_ROWS, CHANGED, NEW = 30, 300, 8, 14
SHARES = {"medical": 0.2, "law": 0.1, "code": 0.3, "story": 0.25, "poem": 0.15}


def true_temperature(topic, day):
    if topic == "code":
        return 1.0 if day < CHANGED else 2.6
    return {"medical": 2.0, "law": 1.4, "story": 1.2, "poem": 1.8}[topic]


def feedback(day):
    """Topics, raw scores and right tokens of one day, in random order."""
    noise = np.random.RandomState(day)
    parts = []
    for topic, share in SHARES.items():
        if topic != "poem" or day >= NEW:
            T, n = true_temperature(topic, day), int(share * N_ROWS)
            parts.append(
                (
                    np.full(n, topic),
                    *make_miscalibrated_logits(
                        n, N_TOKENS, temperature=T, sharpness=2.0, random_state=noise
                    ),
                )
            )
    topic, logits, y = map(np.concatenate, zip(*parts, strict=True))
    order = noise.permutation(len(y))
    return topic[order], logits[order], y[order]


# %%
# Each day the gateway serves what was published. Each night the learner adds the day's rows to what
# it knows and publishes a new table. A row counts .998 times as much as the next one, which makes a
# memory of 500 rows, not quite two days. A twin without limits learns from the same rows.
from scipy.special import log_softmax
from sklearn.base import clone


def loss(temperature, logits, y):
    log_proba = log_softmax(logits / np.reshape(temperature, (-1, 1)), axis=1)
    return -log_proba[np.arange(len(y)), y].mean()


def temperatures(policy, topics):
    return np.array([policy.temperature({TOPIC: str(topic)}) for topic in topics])


twin = ContextPolicy(clone(learner.model).set_params(bounds=None, max_change=None))
rules = ContextPolicy.from_json(learner.to_json())
served, free, losses, reports, seconds = [], [], [], {}, []
for day in range(N_DAYS):
    gateway.load(published)
    served.append(temperatures(gateway.policy, SHARES))
    free.append(temperatures(twin, SHARES))

    topic, logits, y = feedback(day)
    truth = [true_temperature(t, day) for t in topic]
    tables = [temperatures(policy, topic) for policy in (rules, gateway.policy, twin)]
    losses.append([loss(T, logits, y) for T in (*tables, truth)])

    X = np.column_stack([topic, logits.astype(object)])
    start = time.perf_counter()
    learner.partial_fit(X, y)
    seconds.append(time.perf_counter() - start)
    published = learner.to_json()
    reports[day] = learner.model.summary()
    twin.partial_fit(X, y)
served, free, losses = map(np.array, (served, free, losses))
print(f"a night takes {1000 * np.median(seconds):.0f} ms, the table has {len(published)} bytes")

# %%
# Who must sign the table reads the summary. Three nights after the change, what the data ask for
# and what is served differ, and the note says why.
reports[CHANGED + 2]

# %%
# At the end: code would get more than the bounds allow, and poems have a temperature of their own.
# The rules still count for half: what they said of medical questions and of stories was a help.
reports[N_DAYS - 1]

# %%
# Temperatures over the days. The shaded gap is what the limits held back. The new model's code is
# served 2.2, all that is allowed, after eight nights; the twin gets there in five, for it has to
# forget the old model first. Elsewhere the limits are rarely in the way: on day 9 they soften the
# pull of code on law, of which few rows come. Until the first poems have come they are served the
# temperature of the average row, which rises with that of code, too.
import matplotlib.pyplot as plt

days = np.arange(N_DAYS)
_, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
for i, (ax, topic) in enumerate(zip(axes.flat, SHARES, strict=False)):
    truth = [true_temperature(topic, day) for day in days]
    came = days >= (NEW if topic == "poem" else 0)
    ax.plot(days[came], np.array(truth)[came], "k--", linewidth=1, label="true")
    ax.plot(days, free[:, i], color="tab:orange", linewidth=1, label="without limits")
    ax.plot(days, served[:, i], color="tab:blue", linewidth=2, label="served")
    ax.fill_between(days, served[:, i], free[:, i], color="tab:orange", alpha=0.2)
    ax.set(title=topic, xlabel="day", yscale="log", ylim=(0.8, 3.1))
    ax.set_yticks([1, 1.5, 2, 2.5, 3], ["1", "1.5", "2", "2.5", "3"])
    ax.minorticks_off()
axes[0, 0].set_ylabel("temperature")
axes[1, 0].set_ylabel("temperature")
axes[0, 0].legend(loc="lower right")
excess = losses[:, :3] - losses[:, 3:]
ax = axes[1, 2]
for name, color, values in zip(
    ("rules alone", "served", "without limits"),
    ("0.5", "tab:blue", "tab:orange"),
    excess.T,
    strict=True,
):
    ax.plot(days, values, color=color, label=name)
ax.axhline(0, color="k", linestyle="--", linewidth=1)
ax.set(title="log loss above that of the true T", xlabel="day", ylabel="nats per token")
ax.set_ylim(-0.02, 0.42)
ax.legend(loc="upper right")
plt.show()

# %%
# What it comes to, in log loss above that of the true temperatures. On the day of the change nobody
# could have known. In the week after it the limited change costs as much again as the twin loses,
# and the upper bound goes on costing a little: they are the price of nobody having to get up at
# night. Rules that are never refined cost far more than either.
phases = {
    "before the change": days < CHANGED,
    "the week after it": (days >= CHANGED) & (days < CHANGED + 7),
    "from then on": days >= CHANGED + 7,
}
print("                    rules alone   served   without limits")
for name, rows in phases.items():
    print(f"{name:<19} {'{:11.3f} {:8.3f} {:16.3f}'.format(*excess[rows].mean(axis=0))}")

# %%
# A conversation
# --------------
# The table says what makes the probabilities true. What is written should be a little more careful
# than that: times 0.7. And within a conversation the voice should not jump because the topic does:
# a `Session` smooths log T and limits its change. It keeps the table it began with, whatever the
# gateway loads meanwhile. A safety flag is another matter: its cap holds at once, and what it held
# down comes back slowly.
from skcalib.decoding import Session

gateway.load(published)
policy = 0.7 * gateway.policy
session = Session(policy, smoothing=0.3, max_change=np.log(1.2), caps={"safety": 0.5})
talk = ["story"] * 4 + ["code"] * 4 + ["medical"] * 6 + ["poem", "law"] * 3 + ["story"] * 4
flagged = {10, 11}
scores = np.zeros(N_TOKENS)  # the table does not read them
turns = []
for turn, topic in enumerate(talk):
    session(scores, context={TOPIC: topic}, flags=["safety"] if turn in flagged else [])
    turns.append(session.last)
asked = np.array([outcome.target for outcome in turns])
spoken = np.array([outcome.temperature for outcome in turns])
for turn in (3, 4, 9, 10, 12):
    outcome = turns[turn]
    print(
        f"turn {turn:>2}, {talk[turn]:<7}  asked for {outcome.target:.2f}, "
        f"served {outcome.temperature:.2f}  {', '.join(outcome.active)}"
    )

# %%
# Largest step from one turn to the next, as a factor, where no flag is concerned:
calm = [t for t in range(1, len(talk)) if not {t, t - 1} & flagged]
for name, values in (("asked for", asked), ("served", spoken)):
    steps = np.exp(np.abs(np.log(values[1:] / values[:-1])))
    print(f"{name:<9} {steps[np.array(calm) - 1].max():.2f}")

# %%
_, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.axvspan(min(flagged) - 0.5, max(flagged) + 0.5, color="tab:red", alpha=0.15, label="safety flag")
ax.step(range(len(talk)), asked, where="mid", color="0.5", linewidth=1, label="without guards")
ax.plot(spoken, "o-", color="tab:blue", markersize=4, label="served")
ax.set(xlabel="topic of the turn", ylabel="temperature", ylim=(0.3, 1.8))
ax.set_xticks(range(len(talk)), talk, rotation=90)
ax.legend(loc="upper left", ncols=3)
plt.show()
