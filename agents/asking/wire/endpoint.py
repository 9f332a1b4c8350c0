"""A model's endpoint: asked in the dialect that it takes, in turn, and a bounded number of times for each question."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel

from marlsmith.agents.asking.accounting.accounts import Accounts, Attempt
from marlsmith.agents.asking.accounting.estimates import prompt_tokens, tokens_in
from marlsmith.agents.asking.address import Key, address
from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.question import Question, Reply, Rung, Tool, ToolCall, Usage
from marlsmith.agents.asking.wire.completion import Malformed, completion, refusal
from marlsmith.agents.asking.wire.dialect import ANSWER, Dialect, about_the_question
from marlsmith.agents.asking.wire.pacing import Pacing
from marlsmith.agents.asking.wire.patience import Passing, Patience, retry_after
from marlsmith.agents.asking.wire.transport import Received, Transport
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import AnswerError, EndpointError, Interrupted, plain

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

PREFLIGHT_TIMEOUT = 5.0
WORTH_A_TRY = (408, 409, 425, 429)
"""And whatever is 500 and above."""

_NO_CREDIT = re.compile(r"insufficient.?(quota|balance|credit|fund)|billing.?(hard|not)|credit balance|out of credits")


class _Refused(Exception):
    """The endpoint refuses the request as it stands; `words`: all that it says of the reason, codes too."""

    def __init__(self, said: str, words: str) -> None:
        super().__init__(said)
        self.words = words


@dataclass(frozen=True)
class Ability:
    """What an endpoint turned out to do, asked a tiny question or two."""

    seconds: float
    """Until its first answer, tries included."""
    rung: Rung
    tools: bool
    usage: bool
    """It says what a reply took."""
    cached_tokens: int
    reasoning_tokens: int
    model: str | None
    """As the endpoint calls it."""
    without: tuple[str, ...]
    """Settings that it does not take."""


class _Ready(BaseModel):
    ready: bool


class Endpoint:
    """Safe to share between threads. The key is read from the environment and appears nowhere else."""

    def __init__(self, settings: ModelSettings, accounts: Accounts, backoff: float = 1.0) -> None:
        self.settings = settings
        self.name = settings.model
        self.address = address(settings)
        self.asked = json.dumps(plain(settings), sort_keys=True)
        self._accounts = accounts
        self._backoff = backoff
        self._key = Key(settings.key_variable)
        self._keys = accounts.keys + Keys([self._key])
        self._lock = threading.Lock()
        self._interrupted = accounts.interrupted
        self._pacing = Pacing(settings.parallel, settings.requests_per_minute, interrupted=self._interrupted)
        self._transport: Transport | None = None
        self._chat: ChatOpenAI | None = None
        self._dialect = Dialect(tools=settings.tools)
        self._answered = False

    def preflight(self) -> None:
        """Asks whether anybody is there, before a run depends on it. Raises EndpointError."""
        key, transport = self._key.presented(), self._wired()[1]
        seconds = min(PREFLIGHT_TIMEOUT, self.settings.timeout)
        with transport.call(seconds) as call:
            try:
                # Not redirected: it would take the key along, and is a sign of life anyway.
                status = transport.status(f"{self.address}/models", key)
            except Exception as error:
                said = f"no reply within {seconds:g} s" if call.late else self._public(error)
                raise EndpointError(f"{self.address} does not answer: start it or check the address ({said})") from None
        if status in (401, 403):
            raise EndpointError(self._final(status, ""))

    def ping(self) -> Ability:
        """What it can do, asked a tiny question or two. Raises EndpointError, and AnswerError where it only refuses."""
        system = {"role": "system", "content": "You are asked whether you are there. Answer in JSON."}
        asked = {"role": "user", "content": 'Answer with the JSON object {"ready": true} and nothing else.'}
        started = time.monotonic()
        reply = self.send(Question("validator", "ping/answer", (system, asked), _Ready))
        seconds = time.monotonic() - started
        calls: tuple[ToolCall, ...] = ()
        if self.settings.tools:
            tool = Tool("look", "Says what the weather is like.", {"type": "object", "properties": {}})
            asked = {"role": "user", "content": "Call the tool `look` now, before anything else."}
            try:
                calls = self.send(
                    Question("validator", "ping/tools", (system, asked), _Ready, tools=(tool,))
                ).tool_calls
            except AnswerError:
                calls = ()
        return Ability(
            seconds=round(seconds, 3),
            rung=reply.rung,
            tools=bool(calls),
            usage=not reply.usage.estimated,
            cached_tokens=reply.usage.cached_tokens,
            reasoning_tokens=reply.usage.reasoning_tokens,
            model=reply.model,
            without=tuple(sorted(self._known().without)),
        )

    def send(self, question: Question) -> Reply:
        """In the fullest dialect that this endpoint takes.

        What a dialect leaves out is remembered when a reply came in it, not when it was refused: a 400 can also
        mean that this one request was too long. Raises Interrupted, within moments, once the run is to stop.
        """
        who = f"{self.name} at {self.address}"
        patience = Patience(who, self.settings.timeout, self._backoff, self._interrupted)
        dialect = self._known()
        while True:
            try:
                reply = self._request(question, dialect, patience)
            except Passing as passing:
                patience.endure(passing)
                dialect = dialect.joined(self._known())  # another call may know more by now
            except _Refused as refused:
                following = dialect.after(refused.words, question, self.settings)
                if following is None:
                    self._give_up(question, refused)
                dialect = following.joined(self._known())
            else:
                return self._learned(reply, question, dialect)

    def _known(self) -> Dialect:
        with self._lock:
            return self._dialect

    def _learned(self, reply: Reply, question: Question, dialect: Dialect) -> Reply:
        if dialect.rung_for(question) != reply.rung:
            dialect = replace(dialect, rung=dialect.rung + 1)
        with self._lock:
            self._dialect = replace(self._dialect.joined(dialect), roomless=False)
            self._answered = True
        return reply

    def _give_up(self, question: Question, refused: _Refused) -> NoReturn:
        if self._answered or about_the_question(refused.words):  # then it is this question that it cannot take
            raise AnswerError(f"{self.name} as {question.role}: the endpoint refuses the question: {refused}") from None
        raise EndpointError(
            f"{self.address} refuses every request to {self.name} ({refused}): "
            "check the model's name and what the endpoint supports"
        ) from None

    # ------------------------------------------------------------ from a request to a reply

    def _request(self, question: Question, dialect: Dialect, patience: Patience) -> Reply:
        """One request, recorded and counted whether or not a reply comes."""
        with (
            self._pacing.turn(),
            self._accounts.attempt(
                question, self.asked, self.settings, dialect.rung_for(question), limited=not dialect.roomless
            ) as attempt,
        ):
            started = time.monotonic()
            try:
                attempt.reply = self._call(question, dialect, patience.seconds(), attempt)
            except Exception as error:
                attempt.error = self._public(error)
                raise
            finally:
                patience.used(time.monotonic() - started)
            return attempt.reply

    def _call(self, question: Question, dialect: Dialect, seconds: float, attempt: Attempt) -> Reply:
        """Raises Passing, _Refused, AnswerError, EndpointError or Interrupted."""
        import openai

        chat, transport = self._wired()
        bound = chat.bind(extra_body=dialect.body(question, self.settings))
        with transport.call(seconds) as call:
            try:
                bound.invoke(dialect.messages(question))
            except Exception as error:  # always: the transport ends the request once the reply is here
                if call.received is None:
                    attempt.reached = call.sent
                    if self._interrupted.is_set():
                        raise Interrupted() from None
                    if call.too_large:
                        raise AnswerError(f"{self.name} as {question.role}: {self._public(error)}") from None
                    if call.late or isinstance(error, openai.APITimeoutError):
                        raise Passing(f"no reply within {seconds:.3g} s", timeout=True) from None
                    raise Passing(self._public(error)) from None
        received = call.received
        assert received is not None
        if not 200 <= received.status < 300:
            self._status(received, question, dialect)
        attempt.reached = True
        try:
            reply = completion(received.body, self._keys)
        except Malformed as error:
            attempt.usage = error.usage if error.usage.tokens else None
            raise Passing(str(error)) from None
        return self._read(reply, question, dialect.rung_for(question))

    def _status(self, received: Received, question: Question, dialect: Dialect) -> NoReturn:
        status = received.status
        if received.moved:
            place = self._keys.told(received.moved.rstrip("/").removesuffix("/chat/completions"), 200)
            raise EndpointError(f"{self.address} has moved to {place} (HTTP {status}): write that address")
        said, words = refusal(status, received.body, self._keys)
        if status == 413:
            raise AnswerError(f"{self.name} as {question.role}: the endpoint finds the question too large") from None
        if status == 429 and _NO_CREDIT.search(words):
            raise EndpointError(f"{self.address} has no credit left for this key ({said}): top it up") from None
        if status in (400, 422) or (status not in (401, 402, 403) and dialect.names_its_form(words, question)):
            raise _Refused(said, words) from None
        if status in WORTH_A_TRY or status >= 500:
            raise Passing(said, wait=retry_after(received.retry_after)) from None
        raise EndpointError(self._final(status, said)) from None

    def _read(self, reply: Reply, question: Question, rung: Rung) -> Reply:
        """With the answer as its text, by whichever way it came."""
        answers = [made.arguments for made in reply.tool_calls if made.name == ANSWER]
        calls = [made for made in reply.tool_calls if made.name != ANSWER]
        if rung == "tool" and not answers:
            rung = "text"  # it lets tools pass without a look at them
        return replace(
            reply,
            text=answers[0] if answers else reply.text,
            tool_calls=tuple(calls),
            usage=reply.usage if reply.usage.tokens else _estimated(question, reply),
            rung=rung,
        )

    def _wired(self) -> tuple[ChatOpenAI, Transport]:
        with self._lock:
            if self._chat is None or self._transport is None:
                from langchain_openai import ChatOpenAI  # 0.8 s: only a run with a model pays for it
                from pydantic import SecretStr

                key = self._key.presented()
                self._transport = Transport(self._interrupted)
                self._chat = ChatOpenAI(
                    model=self.settings.model,
                    base_url=self.address,
                    api_key=SecretStr(key),
                    http_client=self._transport.client,
                    openai_proxy=None,  # it is the transport's
                    timeout=self.settings.timeout,
                    max_retries=0,  # the tries here are counted and recorded
                    use_responses_api=False,  # else the model's NAME would decide it
                )
            return self._chat, self._transport

    # ------------------------------------------------------------ words for people, without the key

    def _public(self, error: object) -> str:
        said = str(error) or type(error).__name__
        cause: BaseException | None = getattr(error, "__cause__", None)
        while cause is not None and cause.__cause__ is not None:
            cause = cause.__cause__
        if cause is not None and str(cause) not in said:  # "Connection error." alone helps nobody
            said = f"{self._keys.told(said, 1000)} {cause}"
        return self._keys.told(said, 300)

    def _final(self, status: int, said: str) -> str:
        """One sentence for a status that no retry can mend."""
        if status == 401 or (status == 403 and not self._key.read()):
            state = "is not accepted: check it" if self._key.read() else "is not set: set it"
            return f"{self.address} asks for a key (HTTP {status}) and {self._key.variable} {state}"
        if status == 402:
            return f"{self.address} asks to be paid first (HTTP 402): top up the account of {self._key.variable}"
        if status == 403:
            return f"{self.address} forbids this key (HTTP 403): set {self._key.variable} to one that may use it"
        if status == 404:
            return (
                f"{self.address} knows no model {self.name}, or the address is incomplete (HTTP 404): "
                "check the name, and whether the address should end in /v1"
            )
        return f"{self.address} refuses the request with HTTP {status} ({said}): check model and address"


def _estimated(question: Question, reply: Reply) -> Usage:
    """Where the endpoint does not say."""
    answered = reply.text + "".join(made.arguments for made in reply.tool_calls)
    return Usage(prompt_tokens(question), tokens_in(answered), estimated=True)
