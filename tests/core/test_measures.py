"""Counts on their way into the database."""

import threading

from core.measures import Measures


def test_observations_fall_into_the_bucket_that_holds_them() -> None:
    measures = Measures()

    measures.observe("wait", [0.05, 0.06, 1.5, 1.51, 4000.0, -0.2], engine="x")

    buckets = {labels: amount for (name, labels), amount in measures.drain().items() if name == "wait_bucket"}
    assert buckets == {
        '{"engine":"x","le":"0.05"}': 2,
        '{"engine":"x","le":"0.1"}': 1,
        '{"engine":"x","le":"1.5"}': 1,
        '{"engine":"x","le":"3.0"}': 1,
        '{"engine":"x","le":"+Inf"}': 1,
    }


def test_nothing_is_counted_as_nothing() -> None:
    measures = Measures()

    measures.count("none", 0)
    measures.observe("empty", [])

    assert measures.drain() == {}


def test_the_order_of_labels_makes_no_difference() -> None:
    measures = Measures()

    measures.count("sent", channel="email", outcome="sent")
    measures.count("sent", outcome="sent", channel="email")

    assert list(measures.drain().values()) == [2]


def test_threads_lose_no_count_between_them() -> None:
    measures, drained = Measures(), []

    def count() -> None:
        for _ in range(500):
            measures.count("sent")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained.append(measures.drain())
    drained.append(measures.drain())

    assert sum(sum(amounts.values()) for amounts in drained) == 2000


def test_what_could_not_be_written_is_written_next_time() -> None:
    measures = Measures()
    measures.count("sent", 2)
    amounts = measures.drain()
    measures.count("sent")

    measures.give_back(amounts)

    assert list(measures.drain().values()) == [3]
