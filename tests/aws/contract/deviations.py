"""Where an engine is known not to do what AWS promises, in words; docs/AWS_CONTRACT.md lists them."""

_NO_CLOCK = "its clock cannot be moved, and ten minutes are long"
_ONE_THREAD = "it is single-threaded by design; what several do at once is drawn from its seed"

DEVIATIONS: dict[str, dict[str, str]] = {
    "ministack": {
        "test_a_batch_of_puts_tells_its_units": "counts one unit an item, whatever its size",
        "test_a_consistent_read_costs_a_unit_for_4_kb": "returns no capacity for BatchGetItem",
        "test_a_page_ends_at_1_mb": "gives a partition as one page, whatever its size",
        "test_a_plain_put_costs_one_unit_a_kb": "counts one unit a put, whatever its size",
        "test_a_query_costs_by_what_it_reads_together": "counts one unit a page, whatever its size",
        "test_a_split_shard_is_read_to_its_end": "drops the parent of a split with its unread records",
        "test_a_sum_of_more_than_38_digits_cancels_a_transaction": "rounds the sum to 38 digits and succeeds",
        "test_a_sum_of_more_than_38_digits_is_refused": "rounds the sum to 38 digits and succeeds",
        "test_a_token_has_36_characters_at_most": "takes longer tokens",
        "test_a_transactional_put_costs_two_units_a_kb": "counts two units a put, whatever its size",
        "test_indexes_adds_what_the_table_itself_took": "leaves the table's own part out",
        "test_lists_are_compared_by_their_elements": "takes any two lists for equal",
        "test_sums_of_transactions_come_back_in_their_shortest_plain_form": "keeps the zeros at the end: 10.50",
        "test_what_changes_nothing_leaves_no_record": "writes a record for every put, also of an item that is the same",
        "test_what_is_too_much_is_left_for_the_next_call": "gives everything at once, whatever its size",
    },
    "dynoxide": {
        "test_an_update_gives_what_it_replaced": "answers for a new item with its key",
        "test_what_changes_nothing_leaves_no_record": "writes a record for every put, also of an item that is the same",
    },
}
"""Per engine, the tests that it fails, with what it does instead."""

UNTESTED: dict[str, dict[str, str]] = {
    "simulator": {
        "test_every_delta_is_added_once": _ONE_THREAD,
        "test_of_those_who_find_nothing_one_creates": _ONE_THREAD,
        "test_of_those_who_read_the_same_version_one_wins": _ONE_THREAD,
        "test_one_token_has_one_effect_however_many_send_it": _ONE_THREAD,
        "test_plain_updates_lose_nothing_either": _ONE_THREAD,
    },
    "ministack": {"test_a_token_is_forgotten_after_ten_minutes": _NO_CLOCK},
    "dynoxide": {"test_a_token_is_forgotten_after_ten_minutes": _NO_CLOCK},
    "endpoint": {"test_a_token_is_forgotten_after_ten_minutes": _NO_CLOCK},
}
"""Per engine, the tests that say nothing about it, and why."""
