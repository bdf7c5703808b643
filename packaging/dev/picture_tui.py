"""Draw docs/tui.svg, the README's picture of the terminal UI: a real tunnel of the lab, just after it has roamed.

python packaging/dev/picture_tui.py [FILE [COLUMNSxLINES [THEME]]]
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

SETTLED = 4.0  # seconds after which rates and gaps are known


def main(arguments: list[str]) -> int:
    """Play and draw."""
    file, size, theme = [*arguments, *("docs/tui.svg", "96x27", "textual-dark")[len(arguments) :]]
    columns, lines = (int(number) for number in size.split("x"))
    enter()
    with tempfile.TemporaryDirectory(prefix="roam-picture-") as directory, topology() as lab:
        scene = Scene(lab, Path(directory))
        scene.prepare()
        scene.start_gateway()
        scene.laptop.start()
        with EchoServer(lab.server, SERVER), Train(lab.laptop, SERVER):
            picture = asyncio.run(draw(scene, theme, (columns, lines)))
        scene.laptop.roam("down")
        scene.laptop.stop()
    Path(file).write_text(slim(picture))
    return 0


async def draw(scene: Scene, theme: str, size: tuple[int, int]) -> str:
    """The screen after a roam."""
    app = RoamApp(str(scene.laptop.socket))
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        await asyncio.to_thread(scene.laptop.roam, "up", "demo")
        await pilot.pause(SETTLED)
        scene.lab.wifi.down()
        await pilot.pause(SETTLED)
        return app.export_screenshot(title="roam")


def slim(picture: str) -> str:
    """Without fonts from elsewhere: whoever looks at it has one of fixed width."""
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code", "ui-monospace, monospace")
    return "\n".join(line.strip() for line in picture.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
