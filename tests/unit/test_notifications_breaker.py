"""The breaker of a provider: it shuts after failures in a row, for longer each time, and lets one try."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain.notifications import ACCEPTED, Answer, Verdict
from services.notifications.providers.breaker import LONGEST_S, PROBE_S, THRESHOLD, Breaker

BUSY = Answer(Verdict.BUSY, "UNAVAILABLE")
UNCLEAR = Answer(Verdict.UNCLEAR, "TIMEOUT")
REFUSED = Answer(Verdict.REFUSED, "UNREGISTERED")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_failures_in_a_row_shut_it_and_one_message_tries() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for answer in [BUSY, UNCLEAR] * (THRESHOLD // 2):
        breaker.heard(answer)
        assert breaker.wait() == 0
    breaker.heard(BUSY)
    assert breaker.wait() == 1
    clock.now += 1
    assert breaker.wait() == 0
    assert breaker.wait() == PROBE_S, "only one tries"
    breaker.heard(BUSY)
    assert breaker.wait() == 2
    clock.now += 2
    assert breaker.wait() == 0
    breaker.heard(ACCEPTED)
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]


def test_a_no_is_an_answer() -> None:
    breaker = Breaker(Clock())
    for answer in [*[BUSY] * (THRESHOLD - 1), REFUSED] * 3:
        breaker.heard(answer)
    assert breaker.wait() == 0


def test_what_a_provider_asks_for_holds_for_all_up_to_a_minute() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.heard(Answer(Verdict.BUSY, "QUOTA_EXCEEDED", 7))
    assert breaker.wait() == 7
    breaker.heard(Answer(Verdict.BUSY, "QUOTA_EXCEEDED", 3600))
    assert breaker.wait() == 60


@given(st.lists(st.sampled_from([BUSY, UNCLEAR, REFUSED, ACCEPTED]), max_size=60))
def test_it_opens_again_in_a_while_whatever_it_has_heard(answers: list[Answer]) -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for answer in answers:
        breaker.heard(answer)
        assert breaker.wait() <= LONGEST_S
    clock.now += LONGEST_S + PROBE_S
    assert breaker.wait() == 0
