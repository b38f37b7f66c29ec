"""Working ahead changes nothing but when things are done."""

import threading
import time

import pytest

from redub.ahead import ahead


def test_items_come_in_order_and_all():
    assert list(ahead(iter(range(500)), 3)) == list(range(500))
    assert list(ahead([], 3)) == []


def test_it_works_ahead_and_no_further_than_told():
    made = []

    def source():
        for i in range(100):
            made.append(i)
            yield i

    stream = ahead(source(), 4)
    assert next(stream) == 0
    time.sleep(0.3)
    # One is taken, four wait in the queue, one is in the thread's hand.
    assert made == [0, 1, 2, 3, 4, 5]
    stream.close()


def test_the_sources_error_arrives_after_what_came_before_it():
    def source():
        yield 1
        raise KeyError("seven")

    stream = ahead(source(), 4)
    assert next(stream) == 1
    with pytest.raises(KeyError, match="seven"):
        next(stream)


def test_stopping_early_ends_the_thread_before_it_returns():
    before = threading.active_count()

    def source():
        i = 0
        while True:
            yield (i := i + 1)

    stream = ahead(source(), 2)
    next(stream)
    stream.close()
    assert threading.active_count() == before
