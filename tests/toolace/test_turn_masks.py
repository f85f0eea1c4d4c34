import pytest

from toolace.dialogs import Dialog, Message
from toolace.errors import InputError
from toolace.formats import FORMATS, from_any, to_toolace
from toolace.turn_masks import masked_ordinals

TURNS = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))


def dialog(masked, system=False):
    messages = (Message("system", "s"), *TURNS) if system else TURNS
    return Dialog("x", "", (), messages, {"masked": masked})


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("system", [False, True])
def test_masked_turns_survive_every_format(name, system):
    given = dialog([2 if system else 1], system)
    back = from_any(FORMATS[name].to_row(given))
    assert back.messages == given.messages
    assert masked_ordinals(back) == (0,)


@pytest.mark.parametrize("flag", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": False}])
def test_flags_of_other_data_sets_mask_the_turn(flag):
    openai = {"messages": [{"role": m.role, "content": m.content} for m in TURNS]}
    openai["messages"][3] |= flag
    assert from_any(openai).meta["masked"] == [3]
    sharegpt = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", **flag}]}
    assert from_any(sharegpt).meta["masked"] == [1]


@pytest.mark.parametrize("flag", [{"weight": 1}, {"weight": None}, {"train": True}, {"train": "no"}, {}])
def test_other_values_mask_nothing(flag):
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", **flag}]}
    assert "masked" not in from_any(row).meta


def test_a_flag_on_the_user_masks_nothing():
    row = {"conversations": [{"from": "human", "value": "a", "train": False}, {"from": "gpt", "value": "b"}]}
    assert "masked" not in from_any(row).meta


def test_the_toolace_form_says_it_on_the_turn_and_rows_without_masks_stay_as_they_were():
    turns = to_toolace(dialog([3]))["conversations"]
    assert [turn.get("train") for turn in turns] == [None, None, None, False]
    assert all(set(turn) == {"from", "value"} for turn in to_toolace(dialog([]))["conversations"])


@pytest.mark.parametrize("masked", [[0], [9], ["1"], "1", 3])
def test_a_mask_on_what_is_no_assistant_turn_is_an_error(masked):
    with pytest.raises(InputError, match=r"assistant's messages are \[1, 3\]"):
        masked_ordinals(dialog(masked))
