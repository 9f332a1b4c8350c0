"""A model's endpoint: the strictest response format that it takes, and a bounded number of tries for each request."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from marlsmith.agents.asking.accounts import Accounts
from marlsmith.agents.asking.address import Key, address
from marlsmith.agents.asking.question import AnswerError, Message, Question, Reply, Rung, Usage
from marlsmith.agents.asking.reading import encodable
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import EndpointError, plain, printable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

LADDER: tuple[Rung, ...] = ("json_schema", "json_object", "text")
TRIES = 3
LONGEST_WAIT = 30.0
PREFLIGHT_TIMEOUT = 5.0

# An OpenAI-compatible endpoint that answers 200 with HTML, an error body, or no choices makes ChatOpenAI
# trip in one of these ways (JSONDecodeError is a ValueError).
MALFORMED = (ValueError, IndexError, KeyError, TypeError, AttributeError)


class _RequestRefused(Exception):
    """The endpoint refuses the request as it stands: HTTP 400 or 422."""


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
        self._lock = threading.Lock()
        self._chat: ChatOpenAI | None = None
        self._rung = 0
        self._answered = False

    def preflight(self) -> None:
        """Asks whether anybody is there, before a run depends on it. Raises EndpointError."""
        request = urllib.request.Request(f"{self.address}/models")
        request.add_header("Authorization", f"Bearer {self._key.presented()}")
        try:
            urllib.request.build_opener(_NoRedirect).open(request, timeout=PREFLIGHT_TIMEOUT).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            if answer.code in (401, 403):
                raise EndpointError(self._refusal(answer.code, "")) from None
        except (OSError, HTTPException, ValueError) as error:
            raise EndpointError(
                f"{self.address} does not answer: start it or check the address "
                f"({self._public(getattr(error, 'reason', error))})"
            ) from None

    def send(self, question: Question) -> Reply:
        """On the strictest response format that this endpoint takes.

        A rung is remembered when a reply came on it, not when the one above was refused: a 400 can also
        mean that this one request was too long.
        """
        reason = ""
        for index in range(self._rung, len(LADDER)):
            rung = LADDER[index]
            try:
                reply = self._try(question, rung)
            except _RequestRefused as refused:
                reason = str(refused)
                continue
            with self._lock:
                self._rung = max(self._rung, index)
                self._answered = True
            return replace(reply, rung=rung)
        if self._answered:  # then it is this question that it cannot take
            raise AnswerError(f"{self.name} as {question.role}: the endpoint refuses the question: {reason}")
        raise EndpointError(
            f"{self.address} refuses every request to {self.name} ({reason}): "
            "check the model's name and what the endpoint supports"
        )

    def _body(self, question: Question, rung: Rung) -> dict[str, Any]:
        body = dict(self.settings.extra_body)
        schema = question.schema
        if rung == "json_schema":
            # Not strict: the strict dialect knows neither defaults nor discriminated unions.
            form = {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": False}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif rung == "json_object":
            body["response_format"] = {"type": "json_object"}
        room = question.room or self.settings.max_tokens
        if room is not None:
            # The hosted service wants the new name; several local servers know only the old one.
            body["max_tokens" if self.settings.base_url else "max_completion_tokens"] = room
        return body

    # ------------------------------------------------------------ from a request to a reply

    def _try(self, question: Question, rung: Rung) -> Reply:
        """One reply, with a bounded number of tries for what may pass by itself."""
        import openai

        last = ""
        for attempt in range(TRIES):
            wait = min(LONGEST_WAIT, self._backoff * 2**attempt)
            try:
                return self._request(question, rung)
            except openai.APIStatusError as error:
                last = self._public(error)
                if error.status_code in (400, 422):
                    raise _RequestRefused(last) from None
                if error.status_code < 500 and error.status_code not in (408, 429):
                    raise EndpointError(self._refusal(error.status_code, last)) from None
                wait = _retry_after(error.response.headers.get("retry-after"), wait)
            except openai.APITimeoutError:
                last = f"no reply within {self.settings.timeout:g} s"
            except (openai.APIError, *MALFORMED) as error:
                last = self._public(error)
            if attempt < TRIES - 1:
                time.sleep(wait)
        raise EndpointError(
            f"{self.name} at {self.address} gave no usable reply in {TRIES} tries ({last}): check the endpoint"
        )

    def _request(self, question: Question, rung: Rung) -> Reply:
        """One request, recorded and counted whether or not a reply comes."""
        messages = list(question.messages)
        if rung == "text" and question.hint:
            messages = _with_hint(messages, question.hint)
        with self._accounts.attempt(question, self.asked, self.settings, rung) as attempt:
            try:
                chat = self._model().bind(extra_body=self._body(question, rung))
                attempt.reply = self._reply(chat.invoke(messages))
            except Exception as error:
                attempt.error = self._public(error)
                raise
            return attempt.reply

    def _reply(self, message: AIMessage) -> Reply:
        """What came back, without the key that some servers echo: from here it goes into logs and programs."""
        usage = message.usage_metadata
        refusal = message.additional_kwargs.get("refusal")
        return Reply(
            text=self._key.hide(encodable(str(message.text))),
            finish_reason=message.response_metadata.get("finish_reason"),
            refusal=self._key.hide(encodable(str(refusal))) if refusal else None,
            usage=Usage(usage["input_tokens"], usage["output_tokens"]) if usage else Usage(),
        )

    def _model(self) -> ChatOpenAI:
        with self._lock:
            if self._chat is None:
                from langchain_openai import ChatOpenAI  # 0.8 s: only a run with a model pays for it
                from pydantic import SecretStr

                self._chat = ChatOpenAI(
                    model=self.settings.model,
                    base_url=self.address,
                    api_key=SecretStr(self._key.presented()),
                    timeout=self.settings.timeout,
                    temperature=self.settings.temperature,
                    reasoning_effort=self.settings.reasoning_effort,
                    max_retries=0,  # the tries here are counted and recorded
                    use_responses_api=False,  # else the model's NAME would decide it
                )
            return self._chat

    # ------------------------------------------------------------ words for people, without the key

    def _public(self, error: object) -> str:
        said = str(error) or type(error).__name__
        cause = getattr(error, "__cause__", None)
        if cause is not None and str(cause) not in said:  # "Connection error." alone helps nobody
            said = f"{said} {cause}"
        return printable(self._key.hide(said), 300)

    def _refusal(self, status: int, said: str) -> str:
        """One sentence for a status that no retry can mend."""
        if status == 401 or (status == 403 and not self._key.read()):
            state = "is not accepted" if self._key.read() else "is not set"
            return f"{self.address} asks for a key (HTTP {status}) and {self._key.variable} {state}: set it"
        if status == 403:
            return f"{self.address} forbids this key (HTTP 403): set {self._key.variable} to one that may use it"
        if status == 404:
            return (
                f"{self.address} knows no model {self.name}, or the address is incomplete (HTTP 404): "
                "check the name, and whether the address should end in /v1"
            )
        return f"{self.address} refuses the request with HTTP {status} ({said}): check model and address"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the key along to another host; a redirect is a sign of life anyway."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _with_hint(messages: list[Message], hint: str) -> list[Message]:
    first, *rest = messages
    return [{**first, "content": f"{first['content']}\n\n{hint}"}, *rest]


def _retry_after(header: str | None, otherwise: float) -> float:
    """Seconds to wait; a date, which the header may also hold, is not worth the trouble."""
    try:
        return max(0.0, min(LONGEST_WAIT, float(header or "")))
    except ValueError:
        return otherwise
