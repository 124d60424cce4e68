from sellctl.alpaca.budget import Budget


class Time:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_reads_stop_at_three_quarters_and_orders_at_the_whole_budget() -> None:
    budget = Budget(Time())
    reads = sum(budget.take(for_order=False) == 0 for _ in range(200))
    assert budget.load == 0.75
    orders = sum(budget.take(for_order=True) == 0 for _ in range(200))
    assert (reads, orders) == (135, 45)
    assert budget.load == 1.0


def test_urgent_reads_use_a_piece_of_what_is_kept_for_orders_and_never_all_of_it() -> None:
    budget = Budget(Time())
    reads = sum(budget.take(for_order=False) == 0 for _ in range(200))
    urgent = sum(budget.take(for_order=False, urgent=True) == 0 for _ in range(200))
    orders = sum(budget.take(for_order=True) == 0 for _ in range(200))
    assert (reads, urgent, orders) == (135, 36, 9)


def test_no_window_of_sixty_seconds_holds_more_than_the_budget() -> None:
    time = Time()
    budget, sent = Budget(time), []
    for tick in range(3000):
        time.now = tick / 10
        if budget.take(for_order=True) == 0:
            sent.append(time.now)
    assert max(sum(at <= other < at + 60 for other in sent) for at in sent) == 180


def test_a_spent_budget_says_how_long_to_wait() -> None:
    time = Time()
    budget = Budget(time)
    for _ in range(180):
        budget.take(for_order=True)
    time.now = 20.0
    assert budget.take(for_order=True) == 40.0
    assert budget.used == 180


def test_a_larger_grant_of_the_broker_is_used() -> None:
    budget = Budget(Time(), kept=0)
    budget.set_limit(1000)
    assert sum(budget.take(for_order=False) == 0 for _ in range(2000)) == 900


def test_what_is_left_is_what_an_order_could_still_use() -> None:
    budget = Budget(Time())
    assert budget.left == 180
    for _ in range(200):
        budget.take(for_order=False)
    assert budget.left == 45
    budget.set_limit(100)
    assert budget.left == 0
