"""discovery: an entry point -> the declarations behind it, or what is wrong with it.

Everything that a stranger's package can do wrong before it paints is met here: a failing import, a misspelt hook, a
wrong type, another version of the contract.  Each plugin meets a pluggy manager of its own, so there is never a doubt
whose hook it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from redub.errors import PluginError
from redub.plugin import rules, spec
from redub.plugin.contract import GeneratorInfo
from redub.version import VERSION

GROUP = "redub"
BUILT_IN = "echo"
HOOK = "redub_generators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An entry point with the distribution that has it."""

    point: EntryPoint
    name: str
    version: str

    @property
    def distribution(self) -> str:
        """Who is to blame, as ``redub-speech2vid 1.0``."""
        return f"{self.name} {self.version}"


def installed() -> list[Source]:
    """Return the built-in plugin, then the installed ones by distribution and name."""
    built_in = EntryPoint(name=BUILT_IN, value=f"redub.plugin.{BUILT_IN}", group=GROUP)
    found = [
        Source(point=point, name=point.dist.name if point.dist else "?", version=point.dist.version if point.dist else "?")
        for point in entry_points(group=GROUP)
    ]
    return [Source(point=built_in, name="redub", version=VERSION), *sorted(found, key=lambda s: (s.name.lower(), s.point.name))]


def wishes() -> list[str] | None:
    """Return what ``REDUB_PLUGINS`` names, the built-in aside; None where it is not set."""
    value = os.environ.get("REDUB_PLUGINS")
    return None if value is None else [wish for part in value.split(",") if (wish := part.strip()) and wish != BUILT_IN]


def read(source: Source) -> list[GeneratorInfo]:
    """Return what one plugin declares: all of it, valid, or nothing.

    Raises:
        PluginError: Says what is wrong with the plugin, without its name, and what to do.
    """
    # A module that calls sys.exit when it is imported must not end the host.
    try:
        plugin = source.point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{source.point.value} cannot be imported: {cause(error)}", "Repair or uninstall it.") from error
    host = _register(plugin, source.point.name)
    try:
        declared = [info for answer in host.hook.redub_generators() for info in _listed(answer)]
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        hint = "It may be written for another version of the contract." if isinstance(error, TypeError) else "Repair or uninstall it."
        raise PluginError(f"its declaration failed: {cause(error)}", hint) from error
    return [_accepted(info) for info in declared]


def cause(error: BaseException) -> str:
    """Return an exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _register(plugin: object, name: str) -> pluggy.PluginManager:
    host = pluggy.PluginManager(spec.PROJECT)
    host.add_hookspecs(spec)
    try:
        host.register(plugin, name)
        host.check_pending()
    except (pluggy.PluginValidationError, ValueError, TypeError) as error:
        raise PluginError(f"its hooks are not redub's: {cause(error)}", f"There is one hook: {HOOK}(), without arguments.") from error
    unmarked = [key for key in _own_functions(plugin) if key.startswith("redub_") and host.parse_hookimpl_opts(plugin, key) is None]
    if unmarked:
        raise PluginError(f"{', '.join(unmarked)} lacks @hookimpl", f"Write  @hookimpl  over  def {HOOK}():")
    if not host.hook.redub_generators.get_hookimpls():
        raise PluginError("it implements no hook", f"Write  @hookimpl  over  def {HOOK}():")
    return host


def _own_functions(plugin: object) -> Iterator[str]:
    """Yield the names of functions that a module defines itself: what it imports are not its hooks."""
    for key, value in vars(plugin).items() if hasattr(plugin, "__dict__") else ():
        if callable(value) and getattr(value, "__module__", None) == getattr(plugin, "__name__", None):
            yield key


def _listed(answer: object) -> Iterable[object]:
    if not isinstance(answer, Iterable) or isinstance(answer, str | Mapping):
        raise PluginError(f"{HOOK} returned a {type(answer).__name__}, not GeneratorInfo records", "Yield them, or return a list.")
    return answer


def _accepted(info: object) -> GeneratorInfo:
    if not isinstance(info, GeneratorInfo):
        raise PluginError(f"{HOOK} yields a {type(info).__name__}, not a GeneratorInfo", "Correct the declaration.")
    who = f"generator {info.name}: " if rules.is_name(info.name) else ""
    message, hint = rules.api_fault(info.api)
    faults = rules.faults(info)
    # The version comes first: what looks like a fault may be another contract's virtue.
    if message:
        raise PluginError(who + message, hint)
    if faults:
        raise PluginError(who + "; ".join(faults), "Correct the declaration.")
    return info
