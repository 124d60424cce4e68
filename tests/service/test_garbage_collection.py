import gc
from collections.abc import Iterator

import pytest

from sellctl.service.garbage_collection import exempt_what_is_imported, exempt_what_is_loaded


@pytest.fixture(autouse=True)
def _nothing_is_exempt() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_is_loaded_is_not_searched_for_garbage_any_more() -> None:
    exempt_what_is_loaded()
    assert len(gc.get_objects()) < gc.get_freeze_count()


def test_what_is_made_afterwards_is_searched_as_before() -> None:
    exempt_what_is_loaded()
    exempt = gc.get_freeze_count()
    later: list[object] = [[] for _ in range(1000)]
    exempt_what_is_loaded()
    assert gc.get_freeze_count() <= exempt  # what is deleted meanwhile is none of them any more
    assert any(each is later for each in gc.get_objects())


def test_a_command_that_ends_soon_exempts_what_it_imported_once_and_without_a_search() -> None:
    searches: list[str] = []
    gc.callbacks.append(lambda phase, _: searches.append(phase))
    try:
        exempt_what_is_imported()
    finally:
        gc.callbacks.pop()
    exempt = gc.get_freeze_count()
    later: list[object] = [[] for _ in range(1000)]
    exempt_what_is_imported()
    assert searches == []
    assert gc.get_freeze_count() <= exempt
    assert any(each is later for each in gc.get_objects())
