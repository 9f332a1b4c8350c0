"""One thin client over ChatOpenAI: what it returns has been parsed and validated, or it raises.

Two things can go wrong, and they are two exceptions. EndpointError: nobody answers, so the run pauses and
the user acts. AnswerError: somebody answers, but not in a usable form even after one repair turn, so the
run notes it and goes on.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from marlsmith.agents.endpoint import KEY_VARIABLE, ModelSpec
from marlsmith.prompts import render
from marlsmith.schemas import EndpointError, UserError, printable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

Answer = TypeVar("Answer", bound=BaseModel)
Message = dict[str, str]
Rung = Literal["json_schema", "json_object", "text"]

LADDER: tuple[Rung, ...] = ("json_schema", "json_object", "text")
TRIES = 3
LONGEST_WAIT = 30.0
PREFLIGHT_TIMEOUT = 5.0
SECRET_LENGTH = 8  # shorter keys are the dummies that local endpoints get: "x", "EMPTY", "ollama"

# An OpenAI-compatible endpoint that answers 200 with HTML, an error body, or no choices makes ChatOpenAI
# trip in one of these ways (JSONDecodeError is a ValueError).
MALFORMED = (ValueError, IndexError, KeyError, TypeError, AttributeError)


class AnswerError(Exception):
    """A model answered, but not usably, and asking it again has not helped."""


class _Fault(Exception):
    """What is wrong with an answer, in words that its author can act on."""


class _RequestRefused(Exception):
    """The endpoint refuses the request as it stands: HTTP 400 or 422."""


@dataclass(frozen=True)
class Usage:
    calls: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class TextForm(Generic[Answer]):
    """A second form of answer, for endpoints that cannot hold a model to JSON."""

    hint: str
    read: Callable[[str], Answer | None]


@dataclass(frozen=True)
class _Reply:
    text: str
    finish_reason: str | None
    refusal: str | None
    prompt_tokens: int
    completion_tokens: int
    rung: Rung = "text"

    @property
    def cut(self) -> bool:
        """A reply without a finish reason comes from a connection that broke off."""
        return self.finish_reason in ("length", "max_tokens", None)


class ChatClient:
    """Safe to share between threads. The key is read from the environment and appears nowhere else."""

    def __init__(
        self,
        spec: ModelSpec,
        log: Path,
        timeout: float = 120.0,
        key_variable: str = KEY_VARIABLE,
        backoff: float = 1.0,
    ) -> None:
        self.spec = spec
        self.log = log
        self.timeout = timeout
        self.key_variable = key_variable
        self.backoff = backoff
        self._lock = threading.Lock()
        self._chat: ChatOpenAI | None = None
        self._usage = Usage()
        self._rung = 0
        self._answered = False

    @property
    def usage(self) -> Usage:
        with self._lock:
            return self._usage

    def preflight(self) -> None:
        """Asks whether anybody is there, before a run depends on it. Raises EndpointError."""
        request = urllib.request.Request(f"{self.spec.address}/models")
        request.add_header("Authorization", f"Bearer {self._presented_key()}")
        try:
            urllib.request.build_opener(_NoRedirect).open(request, timeout=PREFLIGHT_TIMEOUT).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            if answer.code in (401, 403):
                raise EndpointError(self._refusal(answer.code, "")) from None
        except (OSError, HTTPException, ValueError) as error:
            raise EndpointError(
                f"{self.spec.address} does not answer: start it or check the address "
                f"({self._public(getattr(error, 'reason', error))})"
            ) from None

    def ask(
        self,
        role: str,
        system: str,
        user: str,
        schema: type[Answer],
        *,
        complaints: Callable[[Answer], list[str]] | None = None,
        combine: Callable[[Answer, Answer], Answer] | None = None,
        text_form: TextForm[Answer] | None = None,
    ) -> Answer:
        """The role's answer to a question, validated; one repair turn quotes the exact fault.

        `complaints` names what is wrong with an answer whose form is right. It too is sent back, once.
        `combine` then makes one answer of the first and the second; without it, the one with fewer
        complaints stands. What does not hold in that answer is for the caller to drop.

        Raises AnswerError for an unusable answer, EndpointError for none, UserError where it cannot be recorded.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        reply = self._complete(role, messages, schema, text_form)
        first: Answer | None = None
        faults: list[str] = []
        try:
            first = _read(reply, schema, text_form)
            faults = complaints(first) if complaints else []
            if not faults:
                return first
            fault = "; ".join(faults)
        except _Fault as caught:
            fault = str(caught)

        messages += [
            {"role": "assistant", "content": _without_reasoning(reply.text) or "(nothing)"},
            {"role": "user", "content": render("answer/repair", fault=fault)},
        ]
        try:
            second = _read(self._complete(role, messages, schema, text_form), schema, text_form)
        except (_Fault, AnswerError) as still:
            if first is not None:
                return first
            if isinstance(still, AnswerError):
                raise
            raise AnswerError(f"{self.spec.model} as {role}: unusable after a repair turn: {still}") from None
        if first is None or complaints is None:
            return second
        if combine is not None:
            return combine(first, second)
        return first if len(faults) < len(complaints(second)) else second

    # ------------------------------------------------------------ from a question to a whole reply

    def _complete(
        self, role: str, messages: list[Message], schema: type[Answer], text_form: TextForm[Answer] | None
    ) -> _Reply:
        """A reply that was neither cut short (one retry with more room) nor refused."""
        reply = self._climb(role, messages, schema, text_form, None)
        if reply.cut:
            room = max(8192, 4 * reply.completion_tokens)
            reply = self._climb(role, messages, schema, text_form, room)
        who = f"{self.spec.model} as {role}"
        if reply.refusal or reply.finish_reason == "content_filter":
            raise AnswerError(f"{who}: declined to answer: {printable(reply.refusal or 'filtered', 200)}")
        if reply.cut:
            raise AnswerError(f"{who}: the answer was cut short twice (finish_reason {reply.finish_reason})")
        return reply

    def _climb(
        self,
        role: str,
        messages: list[Message],
        schema: type[Answer],
        text_form: TextForm[Answer] | None,
        max_tokens: int | None,
    ) -> _Reply:
        """The strictest response format that this endpoint takes.

        A rung is remembered when a reply came on it, not when the one above was refused: a 400 can also
        mean that this one request was too long.
        """
        reason = ""
        for index in range(self._rung, len(LADDER)):
            rung = LADDER[index]
            worded = _with_hint(messages, text_form.hint) if text_form and rung == "text" else messages
            body = self._body(rung, schema, max_tokens)
            try:
                reply = self._send(role, worded, body, rung)
            except _RequestRefused as refused:
                reason = str(refused)
                continue
            with self._lock:
                self._rung = max(self._rung, index)
                self._answered = True
            return replace(reply, rung=rung)
        if self._answered:  # then it is this question that it cannot take
            raise AnswerError(f"{self.spec.model} as {role}: the endpoint refuses the question: {reason}")
        raise EndpointError(
            f"{self.spec.address} refuses every request to {self.spec.model} ({reason}): "
            "check the model's name and what the endpoint supports"
        )

    def _body(self, rung: Rung, schema: type[BaseModel], max_tokens: int | None) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if rung == "json_schema":
            # Not strict: the strict dialect knows neither defaults nor discriminated unions.
            form = {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": False}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif rung == "json_object":
            body["response_format"] = {"type": "json_object"}
        if max_tokens is not None:
            # The hosted service wants the new name; several local servers know only the old one.
            body["max_tokens" if self.spec.base_url else "max_completion_tokens"] = max_tokens
        return body

    # ------------------------------------------------------------ from a request to a reply

    def _send(self, role: str, messages: list[Message], body: dict[str, Any], rung: Rung) -> _Reply:
        """One reply, with a bounded number of tries for what may pass by itself."""
        import openai

        last = ""
        for attempt in range(TRIES):
            wait = min(LONGEST_WAIT, self.backoff * 2**attempt)
            try:
                return self._request(role, messages, body, rung)
            except openai.APIStatusError as error:
                last = self._public(error)
                if error.status_code in (400, 422):
                    raise _RequestRefused(last) from None
                if error.status_code < 500 and error.status_code not in (408, 429):
                    raise EndpointError(self._refusal(error.status_code, last)) from None
                wait = _retry_after(error.response.headers.get("retry-after"), wait)
            except openai.APITimeoutError:
                last = f"no reply within {self.timeout:g} s"
            except (openai.APIError, *MALFORMED) as error:
                last = self._public(error)
            if attempt < TRIES - 1:
                time.sleep(wait)
        raise EndpointError(
            f"{self.spec.model} at {self.spec.address} gave no usable reply in {TRIES} tries ({last}): "
            "check the endpoint"
        )

    def _request(self, role: str, messages: list[Message], body: dict[str, Any], rung: Rung) -> _Reply:
        """One request, recorded and counted whether or not a reply comes."""
        reply: _Reply | None = None
        failure: str | None = "interrupted"
        started = time.monotonic()
        try:
            reply = self._reply(self._model().bind(extra_body=body).invoke(messages))
            failure = None
        except Exception as error:
            failure = self._public(error)
            raise
        finally:
            seconds = time.monotonic() - started
            self._record(role, messages, rung, reply, failure, seconds, body)
        return reply

    def _record(
        self,
        role: str,
        messages: list[Message],
        rung: Rung,
        reply: _Reply | None,
        failure: str | None,
        seconds: float,
        body: dict[str, Any],
    ) -> None:
        """A line of llm.jsonl, in one write, so that parallel roles cannot tear it."""
        usage = {
            "prompt_tokens": reply.prompt_tokens if reply else 0,
            "completion_tokens": reply.completion_tokens if reply else 0,
        }
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "role": role,
            "model": self.spec.model,
            "base_url": self.spec.address,
            "format": rung,
            "max_tokens": body.get("max_tokens", body.get("max_completion_tokens")),
            "messages": [{**message, "content": self._hide(message["content"])} for message in messages],
            "text": reply.text if reply else None,
            "refusal": reply.refusal if reply else None,
            "finish_reason": reply.finish_reason if reply else None,
            "usage": usage,
            "seconds": round(seconds, 3),
            "error": failure,
        }
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        with self._lock:
            self._usage = Usage(
                calls=self._usage.calls + 1,
                failed=self._usage.failed + (reply is None),
                prompt_tokens=self._usage.prompt_tokens + usage["prompt_tokens"],
                completion_tokens=self._usage.completion_tokens + usage["completion_tokens"],
            )
            try:
                self._append(data)
            except OSError as error:
                raise UserError(
                    f"{self.log} cannot be written ({error.strerror}): make it writable, or make room on its disk"
                ) from None

    def _append(self, data: bytes) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def _reply(self, message: AIMessage) -> _Reply:
        """What came back, without the key that some servers echo: from here it goes into logs and programs."""
        usage = message.usage_metadata
        refusal = message.additional_kwargs.get("refusal")
        return _Reply(
            text=self._hide(_encodable(str(message.text))),
            finish_reason=message.response_metadata.get("finish_reason"),
            refusal=self._hide(_encodable(str(refusal))) if refusal else None,
            prompt_tokens=usage["input_tokens"] if usage else 0,
            completion_tokens=usage["output_tokens"] if usage else 0,
        )

    def _model(self) -> ChatOpenAI:
        with self._lock:
            if self._chat is None:
                from langchain_openai import ChatOpenAI  # 0.8 s: only a run with a model pays for it
                from pydantic import SecretStr

                self._chat = ChatOpenAI(
                    model=self.spec.model,
                    base_url=self.spec.address,
                    api_key=SecretStr(self._presented_key()),
                    timeout=self.timeout,
                    max_retries=0,  # the tries here are counted and recorded
                    use_responses_api=False,  # else the model's NAME would decide it
                )
            return self._chat

    # ------------------------------------------------------------ words for people, without the key

    def _key(self) -> str:
        return os.environ.get(self.key_variable, "").strip()

    def _presented_key(self) -> str:
        """Refused here where it cannot be a header, for the HTTP libraries would quote it in their error."""
        key = self._key() or "none"
        if not re.fullmatch(r"[!-~]+", key):
            raise EndpointError(
                f"{self.key_variable} holds a blank, a line break or another character that no key has: set it anew"
            )
        return key

    def _hide(self, text: str) -> str:
        key = self._key()
        return text.replace(key, "***") if len(key) >= SECRET_LENGTH else text

    def _public(self, error: object) -> str:
        said = str(error) or type(error).__name__
        cause = getattr(error, "__cause__", None)
        if cause is not None and str(cause) not in said:  # "Connection error." alone helps nobody
            said = f"{said} {cause}"
        return printable(self._hide(said), 300)

    def _refusal(self, status: int, said: str) -> str:
        """One sentence for a status that no retry can mend."""
        address = self.spec.address
        if status == 401 or (status == 403 and not self._key()):
            state = "is not accepted" if self._key() else "is not set"
            return f"{address} asks for a key (HTTP {status}) and {self.key_variable} {state}: set it"
        if status == 403:
            return f"{address} forbids this key (HTTP 403): set {self.key_variable} to one that may use it"
        if status == 404:
            return (
                f"{address} knows no model {self.spec.model}, or the address is incomplete (HTTP 404): "
                "check the name, and whether the address should end in /v1"
            )
        return f"{address} refuses the request with HTTP {status} ({said}): check model and address"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the key along to another host; a redirect is a sign of life anyway."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


# ---------------------------------------------------------------- reading what came back


def _read(reply: _Reply, schema: type[Answer], text_form: TextForm[Answer] | None) -> Answer:
    """The first JSON object that the schema takes; raises _Fault with what ails the largest one."""
    text = _without_reasoning(reply.text)
    fault, largest = _no_json(text), 0
    for value, size in _json_values(text):
        try:
            return schema.model_validate(value)
        except ValidationError as error:
            if size > largest:
                fault, largest = _in_words(error), size
    if text_form and reply.rung == "text":
        answer = text_form.read(text)
        if answer is not None:
            return answer
    raise _Fault(fault)


def _without_reasoning(text: str) -> str:
    """Text after the model's thinking; some servers send the closing tag only."""
    return text.rpartition("</think>")[2].strip()


def _json_values(text: str) -> Iterator[tuple[Any, int]]:
    """Balanced JSON objects (and lists of them) among fences and prose, with their lengths.

    Literal line breaks in strings are let pass: small models write them when they quote code.
    """
    decoder = json.JSONDecoder(strict=False)
    position = 0
    for _ in range(10_000):  # a bound on the work that a hostile text can cause
        starts = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not starts:
            return
        start = min(starts)
        try:
            value, end = decoder.raw_decode(text, start)
            value = _encodable(value)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        position = end
        if isinstance(value, dict) or (value and all(isinstance(item, dict) for item in value)):
            yield value, position - start


def _encodable(value: Any) -> Any:
    """The JSON value with ? for lone surrogates: JSON can escape them, but neither a file nor a request takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


def _no_json(text: str) -> str:
    start = text.find("{")
    if start < 0:
        return "it holds no JSON object" if text else "it is empty"
    try:
        json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return f"it is not valid JSON: {error}"
    return "it holds no JSON object of the form that was asked for"


def _in_words(error: ValidationError) -> str:
    """The first faults of a validation, each with its place and the value that stands there."""
    faults = error.errors(include_url=False)
    words = []
    for fault in faults[:5]:
        place = ".".join(map(str, fault["loc"])) or "answer"
        words.append(f"{place}: {fault['msg']} (got {printable(repr(fault['input']), 80)})")
    return "; ".join(words) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")


def _with_hint(messages: list[Message], hint: str) -> list[Message]:
    first, *rest = messages
    return [{**first, "content": f"{first['content']}\n\n{hint}"}, *rest]


def _retry_after(header: str | None, otherwise: float) -> float:
    """Seconds to wait; a date, which the header may also hold, is not worth the trouble."""
    try:
        return max(0.0, min(LONGEST_WAIT, float(header or "")))
    except ValueError:
        return otherwise
