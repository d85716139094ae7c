"""May this be trained on: Discord's rule 21, and everybody whose words are in a corpus."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sususbot.archive.archive import Archive
from sususbot.errors import TrainingNotPermitted
from sususbot.messages import Origin
from sususbot.training.permission import NOT_FROM_API, check, check_authors, from_api, objection
from tests.archive.making import MIA, TOM, filled, message
from tests.support.consents import agree, refuse

ORIGINS = get_args(Origin)


@pytest.mark.parametrize("origin", [*ORIGINS, "something new"])
def test_only_a_members_own_package_is_not_from_the_api(origin: str) -> None:
    assert (objection({origin: 5}, confirmed=False) is None) == (origin == "package")
    assert objection({origin: 5}, confirmed=True) is None
    assert objection({origin: 0}, confirmed=False) is None


@given(st.dictionaries(st.sampled_from(ORIGINS), st.integers(0, 1000)), st.booleans())
def test_one_message_from_the_api_is_enough(origins: dict[str, int], confirmed: bool) -> None:
    count = sum(n for origin, n in origins.items() if origin not in NOT_FROM_API)
    assert from_api(origins) == count
    if count and not confirmed:
        with pytest.raises(TrainingNotPermitted, match=f"^{count:,} messages of this corpus"):
            check(origins, confirmed=confirmed)
    else:
        check(origins, confirmed=confirmed)


def test_the_sentence_names_the_rule_its_date_and_the_way_on() -> None:
    with pytest.raises(TrainingNotPermitted) as caught:
        check({"export": 1200, "package": 3}, confirmed=False)
    sentence = str(caught.value)
    for needed in ("1,200", "exports do, too", "rule 21", "2024-07-08", "express permission", "BACKEND=recall"):
        assert needed in sentence
    assert "TRAINING_PERMISSION_CONFIRMED=true" in sentence
    assert "\n" not in sentence


def test_everybody_in_a_corpus_must_still_agree(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        filled(archive, message(1), message(2, author=TOM))
        authors = {MIA.id: 10.0, TOM.id: 0.0}
        check_authors(authors, archive.consents)
        refuse(archive, TOM)
        with pytest.raises(TrainingNotPermitted, match=r"1 of the 2 members .* run  sususbot build  again"):
            check_authors(authors, archive.consents)
        agree(archive, TOM)
        archive.erase(MIA.id, at=1)
        with pytest.raises(TrainingNotPermitted, match="1 of the 2"):
            check_authors(authors, archive.consents)
        archive.consents.set_mode("opt-in")
        check_authors({TOM.id: 1.0}, archive.consents)
