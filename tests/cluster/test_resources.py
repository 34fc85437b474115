from cluster.resources import Request, Resources, first_unplaced, machine

GIB = 1 << 30
BIG, SMALL = Resources(8, 1, 64 * GIB), Resources(2, 0, 8 * GIB)


def test_requests_are_placed_largest_first_over_the_nodes() -> None:
    # learner and engine halve the GPU and take 3 + 3 of 8 CPUs; 2 + 2 CPUs are left for four reward workers
    requests = [Request("reward", 1, count=4), Request("learner", 3, 0.5), Request("engine", 3, 0.5)]
    assert first_unplaced(requests, [SMALL, BIG]) is None


def test_the_first_request_without_a_node_is_named() -> None:
    requests = [Request("reward", 1, count=5), Request("learner", 3, 0.5), Request("engine", 3, 0.5)]
    missing = first_unplaced(requests, [SMALL, BIG])
    assert missing is not None and missing.name == "reward"
    assert first_unplaced([Request("learner", 3, 0.6), Request("engine", 1, 0.6)], [BIG, BIG]) is None
    assert first_unplaced([Request("learner", 3, 0.6), Request("engine", 1, 0.6)], [BIG]) == Request("engine", 1, 0.6)


def test_free_cpus_on_two_nodes_do_not_add_up_for_one_actor() -> None:
    assert first_unplaced([Request("learner", 3)], [SMALL, SMALL]) == Request("learner", 3)


def test_tenths_of_a_slot_add_up_to_a_whole() -> None:
    assert first_unplaced([Request("reward", 0.1, count=20)], [SMALL]) is None


def test_this_machine_has_a_core_and_some_memory() -> None:
    here = machine()
    assert here.cpus >= 1 and here.memory_bytes > GIB
