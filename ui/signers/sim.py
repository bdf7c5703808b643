"""The SIM that a profile means, opened through a plugin, as somebody who answers the network's challenges."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from client.control.messages import ControlError

from .holder import cannot
from .sim_plugin import (
    GROUP,
    AskPin,
    Auts,
    Choice,
    Impostor,
    Judgement,
    OpenSim,
    PinRefused,
    Sim,
    SimError,
    Subscriber,
    Vectors,
)
from .uri import SimUri

T = TypeVar("T")


class SimInHand:
    """A SIM to be asked for as long as the program runs; a `SimHolder`."""

    def __init__(self, sim: Sim, plugin: str) -> None:
        self._sim = sim
        self._plugin = plugin

    def shown(self) -> bytes:
        """Whose subscription it is: the name without its first digit."""
        subscriber = told(self._plugin, self._sim.subscriber)
        if not _is_subscriber(subscriber):
            raise cannot(f"the plugin {self._plugin} names no subscriber")
        return subscriber.name.encode()

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        """The SIM's answer to a challenge."""
        judgement = told(self._plugin, lambda: self._sim.authenticate(rand, autn))
        if not _is_judgement(judgement):
            raise cannot(f"the plugin {self._plugin} answers with what no SIM answers")
        return judgement


def find(uri: SimUri, ask_pin: AskPin) -> SimInHand:
    """Open the SIM; `ControlError` where there is none, or of kind `secret.wrong` for a PIN that it refuses."""
    open_sim = _plugin(uri.plugin)
    sim = told(uri.plugin, lambda: open_sim(Choice(uri.reader, uri.imsi), ask_pin))
    return SimInHand(sim, uri.plugin)


def _plugin(name: str) -> OpenSim:
    known = entry_points(group=GROUP)
    if name not in known.names:
        names = ", ".join(sorted(known.names)) or "none"
        raise cannot(f'there is no plugin "{name}" for SIMs (there are: {names})', "Install it beside Roam.")
    loaded: OpenSim = told(name, known[name].load)
    return loaded


def told(plugin: str, step: Callable[[], T]) -> T:
    """What a plugin does; its errors in our words, and whatever else it raises with its name."""
    try:
        return step()
    except ControlError:
        raise
    except PinRefused as error:
        raise ControlError("secret.wrong", str(error), error.hint) from None
    except SimError as error:
        raise cannot(str(error), error.hint) from None
    except Exception as error:  # somebody else's program must not end ours, nor show what it worked on
        raise cannot(f"the plugin {plugin} failed ({type(error).__name__})") from None


def _is_subscriber(what: Subscriber) -> bool:
    return (
        what.imsi.isascii()
        and what.imsi.isdigit()
        and 6 <= len(what.imsi) <= 15
        and what.mnc_digits in {2, 3}
    )


def _is_judgement(what: Judgement) -> bool:
    match what:
        case Vectors(res, ck, ik):
            return 4 <= len(res) <= 16 and len(ck) == len(ik) == 16
        case Auts(auts):
            return len(auts) == 14
        case Impostor():
            return True
