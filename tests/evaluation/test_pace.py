"""How long a system will take is told by its first reply, and only where that is long."""

from sususbot.evaluation import pace
from sususbot.evaluation.ground import Ground
from sususbot.model.scripted import Scripted
from tests.evaluation.making import system_of


def test_more_measures_take_longer_and_a_system_without_tokens_says_nothing(ground: Ground) -> None:
    with system_of(ground, Scripted(["one two three four five"]), "bot") as system:
        few, many = (pace.seconds(system, ground, some, replying=False) for some in ([], ["relevance"]))
        assert few == 0
        assert many is not None
        assert many > 0
    with system_of(ground, Scripted([""]), "bot") as system:
        assert pace.seconds(system, ground, ["relevance"], replying=True) is None


def test_only_what_is_long_is_told() -> None:
    assert pace.sentence("bot", None) is None
    assert pace.sentence("bot", 20.0) is None
    assert pace.sentence("bot", 2400.0) == ("bot will take about 40 minutes: fewer --replies or --measure take less")
    assert "about 3 hours" in (pace.sentence("bot", 3 * 3600.0) or "")
