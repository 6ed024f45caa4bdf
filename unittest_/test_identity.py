"""What is remembered of objects is theirs alone."""

from libs.identity import ByIdentity


def test_it_is_made_once_for_the_same_objects() -> None:
    made: list[tuple[object, object]] = []

    def make(one: list[int], other: list[int]) -> int:
        made.append((one, other))
        return len(made)

    found = ByIdentity(make)
    one, other = [1], [1]
    assert [found(one, other), found(one, other), found(other, one)] == [1, 1, 2]


def test_no_other_object_has_what_was_made_of_one_that_is_gone() -> None:
    found = ByIdentity(lambda one: one[0], most=3)
    assert [found([at]) for at in range(100)] == list(range(100))
