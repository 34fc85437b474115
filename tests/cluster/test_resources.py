from cluster.fit import GIB, Bundle, Node, fit
from cluster.resources import machine

BIG, SMALL = Node("big", 8, 1, 64 * GIB), Node("small", 2, 0, 8 * GIB)


def test_bundles_are_placed_largest_first_over_the_nodes() -> None:
    # learner and engine halve the GPU and take 3 + 3 of 8 CPUs; 2 + 2 CPUs are left for four reward workers
    asked = [Bundle("learner", cpus=3, gpus=0.5), Bundle("engine", cpus=3, gpus=0.5)]
    assert fit([Bundle("reward", 4, 1), *asked], [SMALL, BIG]) is None
    misfit = fit([Bundle("reward", 5, 1), *asked], [SMALL, BIG])
    assert misfit and (misfit.bundle.name, misfit.number) == ("reward", 5)


def test_two_shares_of_more_than_half_need_two_gpus() -> None:
    asked = [Bundle("learner", cpus=3, gpus=0.6), Bundle("engine", cpus=1, gpus=0.6)]
    assert fit(asked, [BIG, BIG]) is None
    misfit = fit(asked, [BIG])
    assert misfit and misfit.bundle.name == "engine"


def test_free_cpus_on_two_nodes_do_not_add_up_for_one_actor() -> None:
    assert fit([Bundle("learner", cpus=3)], [SMALL, SMALL])


def test_tenths_of_a_slot_add_up_to_a_whole() -> None:
    assert fit([Bundle("reward", 20, 0.1)], [SMALL]) is None


def test_this_machine_has_a_core_and_some_memory() -> None:
    here = machine()
    assert here.cpus >= 1 and here.memory_bytes > GIB
