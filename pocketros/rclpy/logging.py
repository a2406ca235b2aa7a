"""Loggers: one string per call, filters per calling line, one line on stderr per message."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from pocketros.arguments import Arguments

__all__ = ["LoggingSeverity", "RcutilsLogger", "clear_config", "get_logger",
           "get_logger_effective_level", "get_logger_level", "get_logging_directory",
           "get_logging_severity_from_string", "set_logger_level"]  # fmt: skip


class LoggingSeverity(IntEnum):
    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


Sink = Callable[[int, str, str, tuple[str, str, int]], None]
_levels: dict[str, int] = {"": LoggingSeverity.INFO}
_sinks: dict[str, Sink] = {}
_stderr_enabled = True
_lock = threading.Lock()
_FILTERS = ("throttle_duration_sec", "throttle_time_source_type", "skip_first", "once")


def configure(arguments: Arguments) -> None:
    """Take levels from the command line (`--log-level`)."""
    global _stderr_enabled
    if arguments.log_level is not None:
        _levels[""] = arguments.log_level
    _levels.update(arguments.logger_levels)
    _stderr_enabled = arguments.log_to_stderr


def get_logger(name: str) -> RcutilsLogger:
    if not name:
        raise ValueError("Logger name must not be empty.")
    return _root_logger.get_child(name)


def clear_config() -> None:
    """Back to level INFO for all loggers."""
    _levels.clear()
    _levels[""] = LoggingSeverity.INFO


def get_logger_level(name: str) -> LoggingSeverity:
    """The level set for exactly this logger, or UNSET."""
    return LoggingSeverity(_levels.get(name, LoggingSeverity.UNSET))


def set_logger_level(name: str, level: int, detailed_error: bool = False) -> bool:
    _levels[name] = LoggingSeverity(level)
    return True


def get_logger_effective_level(name: str) -> LoggingSeverity:
    return RcutilsLogger(name).get_effective_level()


def get_logging_directory() -> Path:
    """Where ROS keeps log files: ROS_LOG_DIR, else $ROS_HOME/log, else ~/.ros/log.

    pocketros itself writes none.
    """
    if directory := os.environ.get("ROS_LOG_DIR"):
        return Path(directory).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"


def get_logging_severity_from_string(log_severity: str) -> LoggingSeverity:
    try:
        return LoggingSeverity[log_severity.upper()]
    except KeyError:
        raise RuntimeError(f"unknown severity {log_severity!r}") from None


class RcutilsLogger:
    """A named logger. There is no `exception()`, and a call takes no formatting arguments."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._contexts: dict[tuple[str, str, int, int], dict[str, Any]] = {}

    def get_child(self, name: str) -> RcutilsLogger:
        if not name:
            raise ValueError("Child logger name must not be empty.")
        return RcutilsLogger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: int) -> None:
        _levels[self.name] = LoggingSeverity(level)

    def get_effective_level(self) -> LoggingSeverity:
        name = self.name
        while name:
            if level := _levels.get(name):
                return LoggingSeverity(level)
            name = name.rpartition(".")[0]
        return LoggingSeverity(_levels[""])

    def is_enabled_for(self, severity: int) -> bool:
        return severity >= self.get_effective_level()

    def debug(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.DEBUG, **kwargs)

    def info(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.INFO, **kwargs)

    def warning(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.WARN, **kwargs)

    def warn(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.WARN, **kwargs)

    def error(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.ERROR, **kwargs)

    def fatal(self, message: str, **kwargs: Any) -> bool:
        return self.log(message, LoggingSeverity.FATAL, **kwargs)

    def log(self, message: str, severity: int, name: str | None = None, **kwargs: Any) -> bool:
        """Log `message`; False if the level or a filter held it back.

        Filters, kept per calling line: `throttle_duration_sec` (with an optional clock as
        `throttle_time_source_type`), `skip_first`, `once`.
        """
        if not self.is_enabled_for(severity):
            return False
        if not isinstance(message, str):
            raise TypeError(f"the message must be a string, not {type(message).__name__}")
        severity = LoggingSeverity(severity)
        for option in kwargs:
            if option not in _FILTERS:
                raise TypeError(
                    f"parameter {option!r} is not one of the recognized logging options {_FILTERS}"
                )
        caller, instruction = _caller()
        if not self._passes((*caller, instruction), severity, name or self.name, kwargs):
            return False
        _emit(severity, name or self.name, message, caller)
        return True

    def _passes(
        self, caller: tuple[str, str, int, int], severity: int, name: str, options: dict[str, Any]
    ) -> bool:
        """Apply the filters of one calling instruction, which must not vary from call to call."""
        if "throttle_time_source_type" in options and not options.get("throttle_duration_sec"):
            raise TypeError(
                "required parameter throttle_duration_sec not specified for throttle_time_source_type"
            )
        with _lock:
            state = self._contexts.setdefault(caller, {"severity": severity, "name": name})
            if state["severity"] != severity:
                raise ValueError("Logger severity cannot be changed between calls.")
            if state["name"] != name:
                raise ValueError("Logger name cannot be changed between calls.")
            if state.setdefault("options", options) != options:
                raise ValueError("Logging filter parameters cannot be changed between calls.")
            period = options.get("throttle_duration_sec")
            if period:
                clock = options.get("throttle_time_source_type")
                now = clock.now().nanoseconds if clock is not None else time.time_ns()
                if now < state.get("last", 0) + period * 1e9:
                    return False
                state["last"] = now
            if options.get("skip_first") and not state.get("skipped"):
                state["skipped"] = True
                return False
            if options.get("once"):
                if state.get("logged"):
                    return False
                state["logged"] = True
        return True


_root_logger = RcutilsLogger()


def _caller() -> tuple[tuple[str, str, int], int]:
    """(file, function, line) of the first frame outside this module, and its instruction there."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    return (code.co_filename, code.co_name, frame.f_lineno), frame.f_lasti


def _emit(severity: LoggingSeverity, name: str, message: str, caller: tuple[str, str, int]) -> None:
    if _stderr_enabled:
        text = f"[{severity.name}] [{time.time():.9f}] [{name}]: {message}\n"
        with _lock:
            sys.stderr.write(text)
    root = name.partition(".")[0] if name not in _sinks else name
    for key in {name, root}:
        if sink := _sinks.get(key):
            sink(severity, name, message, caller)
            break


def add_sink(name: str, sink: Sink) -> None:
    """Also hand what the logger `name` and its children emit to `sink` (nodes: /rosout)."""
    _sinks[name] = sink


def remove_sink(name: str) -> None:
    _sinks.pop(name, None)
