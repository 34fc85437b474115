from itertools import combinations

from graph.layout import layered


def overlap(places: dict[str, tuple[int, float]], heights: dict[str, float]) -> list[tuple[str, str]]:
    return [
        (one, other)
        for one, other in combinations(places, 2)
        if places[one][0] == places[other][0]
        and places[one][1] < places[other][1] + heights[other]
        and places[other][1] < places[one][1] + heights[one]
    ]


def test_no_box_is_over_another_and_joined_ones_are_neighbours() -> None:
    heights = {name: 2.0 + place % 7 for place, name in enumerate("abcdefghij")}
    joins = [("a", "b"), ("a", "c"), ("a", "d"), ("d", "e"), ("e", "f"), ("g", "h"), ("a", "a"), ("b", "c")]
    places = layered(heights, joins)
    assert list(places) == list(heights) and not overlap(places, heights)
    assert all(abs(places[one][0] - places[other][0]) == 1 for one, other in [("a", "d"), ("d", "e"), ("g", "h")])
    assert layered(heights, joins) == places


def test_many_unjoined_tables_make_a_picture_wider_than_high() -> None:
    heights = {str(number): 10.0 for number in range(60)}
    places = layered(heights, [])
    columns, lowest = max(x for x, _ in places.values()) + 1, max(y for _, y in places.values()) + 10
    assert not overlap(places, heights) and 4 < columns < 20 and lowest < 130
    assert layered({}, []) == {}
