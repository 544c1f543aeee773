import threading

import pytest

from attune.ahead import ahead


def test_items_come_in_order_made_before_they_are_asked_for() -> None:
    made, third = [], threading.Event()

    def items():
        for number in range(5):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    coming = ahead(items(), 3)
    assert next(coming) == 0
    assert third.wait(10)
    assert made == [0, 1, 2, 3]
    assert list(coming) == [1, 2, 3, 4]


def test_nothing_and_none_are_items_like_others() -> None:
    assert list(ahead([], 2)) == []
    assert list(ahead([None, False, None], 2)) == [None, False, None]


def test_what_making_raises_is_raised_after_what_was_made() -> None:
    def items():
        yield 1
        raise KeyError("second")

    coming = ahead(items(), 4)
    assert next(coming) == 1
    with pytest.raises(KeyError, match="second"):
        next(coming)
