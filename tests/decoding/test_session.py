import math
import pickle

import numpy as np
import pytest

from skcalib.decoding import AnnealingPolicy, ConstantPolicy, EntropyPolicy, Session

LOGITS = [0.0, 1.0]


class Replies:
    """A policy that is told its answers beforehand."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, logits, *, step=0, context=None):
        return self.answers.pop(0)


def test_a_session_limits_the_change_from_call_to_call():
    session = Session(Replies(1.0, 5.0, 5.0, 5.0, 0.0, 5.0), max_change=math.log(2))
    served = [session(LOGITS) for _ in range(6)]
    np.testing.assert_allclose(served, [1, 2, 4, 5, 0, 5])


def test_the_last_outcome_says_what_was_asked_for_and_why_it_is_not_served():
    session = Session(Replies(3.0, 3.0), bounds=(0.1, 2.0), caps={"safety": 0.3})
    assert session.last is None
    assert session(LOGITS) == 2.0
    assert (session.last.target, session.last.active) == (3.0, ("bounds",))
    assert session(LOGITS, flags={"safety"}) == 0.3
    assert (session.last.target, session.last.active) == (3.0, ("bounds", "cap"))


def test_a_cap_holds_at_once_and_is_left_slowly():
    session = Session(
        ConstantPolicy(1.2), max_change=math.log(2), caps={"safety": 0.3, "code": 0.5}
    )
    assert session(LOGITS) == 1.2
    assert session(LOGITS, flags=["code", "safety"]) == 0.3
    assert session(LOGITS, flags=["code"]) == 0.5
    np.testing.assert_allclose([session(LOGITS) for _ in range(2)], [1.0, 1.2])


def test_reset_starts_a_new_conversation():
    session = Session(Replies(1.0, 5.0, 5.0), max_change=math.log(2))
    session(LOGITS)
    session(LOGITS)
    session.reset()
    assert session.last is None
    assert session(LOGITS) == 5.0


def test_step_and_context_reach_the_policy():
    seen = []

    def policy(logits, *, step, context):
        seen.append((step, context))
        return 1.0

    Session(policy)(LOGITS, step=7, context={"domain": "law"})
    assert seen == [(7, {"domain": "law"})]
    assert Session(AnnealingPolicy(1, 0, 4))(LOGITS, step=1) == 0.75


def test_rows_of_a_batch_have_each_their_own_past():
    session = Session(Replies(np.array([1.0, 4.0]), np.array([4.0, 4.0])), max_change=math.log(2))
    session(np.zeros((2, 3)))
    np.testing.assert_allclose(session(np.zeros((2, 3))), [2.0, 4.0])
    assert session.last.active == (("max_change",), ())


def test_other_rows_than_before_are_refused():
    session = Session(ConstantPolicy(1.0))
    session(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"same rows .* shape \(2,\), and now .* \(3,\).* reset"):
        session(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="same rows in every call"):
        session(np.zeros(3))


def test_a_failed_call_leaves_the_session_as_it_was():
    session = Session(EntropyPolicy(), caps={"safety": 0.3})
    session([0.0, 1.0])
    last = session.last
    with pytest.raises(ValueError, match="holds NaN"):
        session([0.0, np.nan])
    with pytest.raises(ValueError, match=r"flags must be among .*\['safety'\], got \['law'\]"):
        session([0.0, 1.0], flags=["law"])
    with pytest.raises(TypeError, match=r"flags must be a collection of names, got 'safety'"):
        session([0.0, 1.0], flags="safety")
    assert session.last is last


def test_a_session_is_picklable():
    session = Session(ConstantPolicy(4.0), max_change=math.log(2), caps={"safety": 1.0})
    session(LOGITS, flags=["safety"])
    copy = pickle.loads(pickle.dumps(session))
    assert copy(LOGITS) == pytest.approx(2.0) == session(LOGITS)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"smoothing": -0.1}, ValueError, r"'smoothing' parameter of Session must be"),
        ({"max_change": -1}, ValueError, r"'max_change' parameter of Session must be"),
        ({"bounds": (1, 0)}, ValueError, r"bounds must be 0 <= lowest <= highest"),
        ({"caps": {"safety": -1}}, ValueError, r"caps must be .*, got -1 for 'safety'"),
        ({"caps": {"safety": None}}, ValueError, r"caps must be .*, got None for 'safety'"),
        ({"caps": ["safety"]}, TypeError, r"caps must map flags to temperatures"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused_when_the_session_is_made(options, error, message):
    with pytest.raises(error, match=message):
        Session(ConstantPolicy(1.0), **options)


def test_a_number_is_no_policy():
    with pytest.raises(TypeError, match=r"policy must be a Policy, got 0.7. .* ConstantPolicy"):
        Session(0.7)
