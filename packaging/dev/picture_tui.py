"""Draw the pictures of the terminal UI in docs/: a real tunnel of the lab, just after it has roamed.

python packaging/dev/picture_tui.py [DIRECTORY [COLUMNSxLINES [THEME]]]
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from client.lab.demo_scene import Scene  # noqa: E402 - the script stands outside the packages
from client.lab.echo import EchoServer, Train  # noqa: E402
from client.lab.isolation import enter  # noqa: E402
from client.lab.topology import SERVER, topology  # noqa: E402
from ui.tui.app import RoamApp  # noqa: E402

VIEWS = {"tui.svg": "1", "tui-moves.svg": "2", "tui-keys.svg": "3", "tui-leaks.svg": "4"}
REDRAWN = 1.5  # seconds after which a view has asked for all that it shows
SETTLED = 8.0  # seconds after which rates and gaps are known


def main(arguments: list[str]) -> int:
    """Play and draw."""
    place, size, theme = [*arguments, *("docs", "110x36", "textual-dark")[len(arguments) :]]
    columns, lines = (int(number) for number in size.split("x"))
    enter()
    with tempfile.TemporaryDirectory(prefix="roam-picture-") as directory, topology() as lab:
        scene = Scene(lab, Path(directory))
        scene.prepare()
        scene.start_gateway()
        scene.laptop.start()
        with EchoServer(lab.server, SERVER), Train(lab.laptop, SERVER):
            pictures = asyncio.run(draw(scene, theme, (columns, lines)))
        scene.laptop.roam("down")
        scene.laptop.stop()
    for name, picture in pictures.items():
        Path(place, name).write_text(slim(picture))
    return 0


async def draw(scene: Scene, theme: str, size: tuple[int, int]) -> dict[str, str]:
    """The views after a roam, by the names of their files."""
    app = RoamApp(str(scene.laptop.socket))
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        await asyncio.to_thread(scene.laptop.roam, "up", "demo")
        await pilot.pause(SETTLED)
        scene.lab.wifi.down()
        await pilot.pause(SETTLED)
        pictures = {}
        for file, key in VIEWS.items():
            await pilot.press(key)
            await pilot.pause(REDRAWN)
            pictures[file] = app.export_screenshot(title="roam")
        return pictures


def slim(picture: str) -> str:
    """Without fonts from elsewhere: whoever looks at it has one of fixed width."""
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code", "ui-monospace, monospace")
    return "\n".join(line.strip() for line in picture.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
