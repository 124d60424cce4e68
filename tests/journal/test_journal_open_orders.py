"""What a restart takes up: each order without a recorded end, and what was written down of it."""

import asyncio

from builders import an_order
from journal_builders import CALL, a_journal, intend

from sellctl.core.model.plan import CancelOrder
from sellctl.journal.location import JournalLocation


def test_an_open_order_has_its_newest_intent_and_what_followed_it_oldest_first(place: JournalLocation) -> None:
    journal = a_journal(place)
    intend(journal, "sellctl-1")
    journal.outcome("main", "sellctl-1", "unknown", {"error": "time-out"})
    intend(journal, "sellctl-1")
    asyncio.run(journal.accepted("main", "sellctl-1", {"order_id": "b1", "status": "new"}))
    intend(journal, "sellctl-2")
    journal.record_fill("main", "sellctl-1", {"order_id": "b1", "filled_qty": "2", "filled_avg_price": "1.25"})
    asyncio.run(journal.intend("main", (), [CancelOrder(an_order(CALL, client_order_id="sellctl-1"), "to reprice")]))
    intend(journal, "sellctl-3")
    journal.outcome("main", "sellctl-3", "canceled", {"filled_qty": "0"})
    intend(journal, "sellctl-4", account="other")
    first, second = journal.open_orders("main")
    assert (first.intent.client_order_id, second.intent.client_order_id) == ("sellctl-1", "sellctl-2")
    assert [outcome.kind for outcome in first.outcomes] == ["accepted", "fill", "cancel"]
    assert first.outcomes[1].detail["filled_qty"] == "2"
    assert second.outcomes == ()
    journal.close()
