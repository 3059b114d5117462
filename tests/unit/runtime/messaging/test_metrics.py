"""Labels of event metrics."""

from hypothesis import given
from hypothesis import strategies as st

from generated.events import EVENTS
from services.runtime.messaging.metrics import normalise_event_type
from services.runtime.telemetry.metrics import OTHER

EVENT_TYPES = {event.type for event in EVENTS.values()}


@given(st.one_of(st.text().filter(lambda text: text not in EVENT_TYPES), st.none(), st.integers()))
def test_unknown_event_type_is_labelled_other(event_type: object) -> None:
    assert normalise_event_type(event_type) == OTHER
    assert normalise_event_type("orders.paid") == "orders.paid"
