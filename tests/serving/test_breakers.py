from spendra_sidecar.serving.breakers import Breakers


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_five_failures_open_it_and_a_success_closes_it() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(4):
        breakers.failed("a")
    assert breakers.lets_through("a")
    breakers.failed("a")
    assert not breakers.lets_through("a")
    assert breakers.lets_through("b")
    clock.now += 5
    assert breakers.lets_through("a"), "one request tries it"
    assert not breakers.lets_through("a"), "while the others wait for its result"
    breakers.succeeded("a")
    assert breakers.lets_through("a")


def test_it_stays_open_longer_each_time_it_fails_again() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(6):
        breakers.failed("a")
    clock.now += 9
    assert not breakers.lets_through("a")
    clock.now += 1
    assert breakers.lets_through("a")


def test_a_wish_to_be_left_alone_is_heeded_up_to_two_minutes() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    breakers.failed("a", 30)
    assert not breakers.lets_through("a")
    clock.now += 30
    assert breakers.lets_through("a")
    breakers.failed("b", 86_400)
    clock.now += 120
    assert breakers.lets_through("b")
