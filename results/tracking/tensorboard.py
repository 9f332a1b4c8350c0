"""TensorBoard: each line of a run is a directory below RUN/tensorboard, so that their curves lie on one plot."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from marlsmith.results.past import PastRun
from marlsmith.results.tracking.rows import Numbers, Row, Settings, Text
from marlsmith.schemas import UserError

DIRECTORY = "tensorboard"
OPEN_FILES = 16
"""Writers kept open: each has a file and a thread, and a long run has hundreds of lines."""
Key = tuple[str, str, int]


class TensorBoard:
    """Times are those of the run: when it was made, and the seconds that it had taken."""

    def __init__(self, run: PastRun) -> None:
        self._directory = run.path / DIRECTORY
        if self._directory.is_symlink():  # a run may come from anybody
            raise UserError(f"{self._directory} is a link: remove it, so that nothing is written where it leads")
        self._begun = run.created.timestamp()
        self._name = run.name
        self._known = set(_kept(self._directory))
        self._writers: dict[str, EventFileWriter] = {}

    @property
    def where(self) -> str:
        return f"tensorboard --logdir {shlex.quote(str(self._directory))}"

    def keep(self, row: Row) -> None:
        match row:
            case Numbers(line, _, at, values):
                summaries = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
                self._write(line, at, summaries, row.seconds)
            case Text(name, text):
                self._write("", 0, [_text(name, text)], row.seconds)
            case Settings(values):
                summary = hparams_pb(dict(values), trial_id=self._name, start_time_secs=self._begun)
                self._write("", 0, list(summary.value), row.seconds)

    def flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _write(self, line: str, step: int, values: list[Summary.Value], seconds: float) -> None:
        new = [value for value in values if (line, value.tag, step) not in self._known]
        if new:
            self._writer(line).add_event(Event(wall_time=self._begun + seconds, step=step, summary=Summary(value=new)))
            self._known.update((line, value.tag, step) for value in new)

    def _writer(self, line: str) -> EventFileWriter:
        """The one not written to for longest is closed: who reads along may overlook a second file of a line."""
        writer = self._writers.pop(line, None) or EventFileWriter(str(self._directory / line))
        self._writers[line] = writer
        if len(self._writers) > OPEN_FILES:
            self._writers.pop(next(iter(self._writers))).close()
        return writer


def _kept(directory: Path) -> Iterator[Key]:
    """What stands there already, of processes before this one; the last record of one that was killed may be cut."""
    for file in sorted(directory.rglob("events.out.tfevents.*")):
        line = file.parent.relative_to(directory).as_posix()
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                yield ("" if line == "." else line, value.tag, event.step)


def _text(name: str, text: str) -> Summary.Value:
    """As a block of code: a page would read it as Markdown."""
    block = "\n".join(f"    {line}" for line in text.splitlines())
    tensor = TensorProto(dtype="DT_STRING", string_val=[block.encode()], tensor_shape=TensorShapeProto())
    metadata = create_summary_metadata(display_name=name, description="")
    return Summary.Value(tag=name, metadata=metadata, tensor=tensor)
