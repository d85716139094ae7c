"""What a corpus is made by: the settings that change it, all of them and no others. They stand in its manifest."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sususbot.corpus.clean import ALL
from sususbot.corpus.segment import Linking
from sususbot.messages import Audience


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a corpus is made by. `persona` None: everybody is played in turn; `audience` None: all channels are read."""

    own_name: str
    persona_text: str
    persona: frozenset[int] | None = None
    rules: frozenset[str] = ALL
    linking: Linking = field(default_factory=Linking)
    sample_tokens: int = 1024
    others_weight: float = 0.1
    author_cap: float = 0.25
    valid_share: float = 0.05
    audience: Audience = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return asdict(self) | {
            "persona": "server" if self.persona is None else sorted(self.persona),
            "rules": sorted(self.rules),
            "audience": "all" if self.audience is None else sorted(self.audience),
        }
