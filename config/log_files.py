"""Where log lines go: standard output and a rotated file. A full disk loses lines, never a request."""

import contextlib
import os
import sys
from pathlib import Path


class RotatedFile:
    """A file of whole lines; at `max_bytes` it becomes `<name>.1`, that `<name>.2`, up to `files`."""

    def __init__(self, path: Path, max_bytes: int, files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._descriptor = -1
        self._size = 0
        self._open()

    def write(self, line: bytes) -> None:
        """Append a line; raises OSError where the disk refuses it."""
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        # One system call and no buffer: a killed process loses no line, and lines of two processes do not mix.
        written = os.write(self._descriptor, line)
        self._size += written
        if written < len(line):
            raise OSError(f"{self._path}: {written} of {len(line)} bytes written")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        try:
            for number in range(self._files - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number).replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        finally:
            self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class LogStream:
    """One stream of lines, to its file and to standard output; `lost` counts the lines that one of them refused."""

    def __init__(self, file: RotatedFile | None, stdout: bool = True) -> None:
        self.lost = 0
        self._file = file
        self._stdout = stdout

    def write(self, line: bytes) -> None:
        """Write a line, given with its newline; never raises."""
        try:
            if self._file is not None:
                self._file.write(line)
        except OSError:
            self.lost += 1
        try:
            if self._stdout:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        except (OSError, ValueError, AttributeError):
            # Closed, a broken pipe, or replaced by something without bytes: there is nowhere to say so.
            self.lost += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
