"""The roles without a language model: an evolutionary designer, a critic and a validator made of rules.

They need no key and no network, and they are the honest baseline that a model has to beat.
"""

from marlsmith.agents.offline.critic import OfflineCritic
from marlsmith.agents.offline.designer import OfflineGenerator
from marlsmith.agents.offline.random_designer import RandomGenerator
from marlsmith.agents.offline.validator import OfflineValidator

__all__ = ["OfflineCritic", "OfflineGenerator", "OfflineValidator", "RandomGenerator"]
