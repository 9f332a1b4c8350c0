"""Asks one endpoint from several threads, as a run does: `killed_asker.py URL LOG`. Made to be killed on the way."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import Review

QUESTIONS = 40


def main(url: str, log: str) -> None:
    accounts = Accounts(Path(log))
    client = Client(Endpoint(ModelSettings(model="good", base_url=url, parallel=8), accounts), accounts)

    def ask(number: int) -> Review:
        return client.ask("validator", f"c{number}/check", "You review.", f"Review number {number}.", Review)

    with ThreadPoolExecutor(8) as pool:
        reviews = list(pool.map(ask, range(QUESTIONS)))
    spent = accounts.spent()
    print(len(reviews), spent.calls, spent.failed, spent.usage.tokens)


main(*sys.argv[1:])
