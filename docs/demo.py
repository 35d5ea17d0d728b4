#!/usr/bin/env python3
"""Draws docs/demo.svg: what `gatepost demo` prints in a terminal while three people make calls.

It runs the demo and makes the calls; every character and colour in the picture is the demo's own. Only what differs from
run to run is made equal (ports, times), and what nobody reads is left out (tokens, the curl command). With --check it
draws nothing, and fails where the picture is no longer what the demo prints. GATEPOST names the binary (default:
target/release/gatepost).
"""

import argparse
import html
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/demo.svg"
SECS_MAX = 30

# Who calls what, in this order: (person, method, tool). A line of the picture each.
CALLS = [
    (None, "tools/list", None),
    ("reader", "tools/list", None),
    ("reader", "tools/call", "list_notes"),
    ("reader", "tools/call", "create_note"),
    ("writer", "tools/call", "create_note"),
    ("writer", "tools/call", "purge_notes"),
    ("admin", "tools/call", "purge_notes"),
    ("admin", "tools/call", "run_shell"),
]
ARGUMENTS = {"create_note": {"title": "Milk", "text": "Two litres."}}

FONT_SIZE, COLUMN, ROW, MARGIN = 14, 8.4, 20, 20
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
GROUND = "#0d1117"
# By SGR code; 0 is text without one.
COLOURS = {
    0: "fill:#e6edf3",
    1: "fill:#fff;font-weight:700",
    2: "fill:#8b949e",
    31: "fill:#ff7b72",
    32: "fill:#56d364",
    33: "fill:#e3b341",
    35: "fill:#d2a8ff",
}


class Terminal:
    """A program in a terminal of its own, and the lines that it has written so far."""

    def __init__(self, command):
        self.end, inner = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=inner, env=environment)
        os.close(inner)
        self.written = b""

    def lines(self):
        """The lines that are complete."""
        return self.written.decode().replace("\r\n", "\n").split("\n")[:-1]

    def wait_for(self, is_there):
        """Reads until `is_there` is true of the lines, and returns them."""
        latest = time.monotonic() + SECS_MAX
        while not is_there(self.lines()):
            left = latest - time.monotonic()
            if left <= 0 or not select.select([self.end], [], [], left)[0]:
                raise SystemExit("the demo did not print what was waited for:\n" + "\n".join(self.lines()))
            try:
                self.written += os.read(self.end, 65536)
            except OSError:
                raise SystemExit("the demo ended:\n" + "\n".join(self.lines())) from None
        return self.lines()

    def close(self):
        self.process.terminate()
        self.process.wait()
        os.close(self.end)


def plain(line):
    return re.sub(r"\x1b\[\d+m", "", line)


def play():
    """Runs the demo and makes the calls; returns the lines of the terminal."""
    gatepost = os.environ.get("GATEPOST") or ROOT / "target/release/gatepost"
    if not os.access(gatepost, os.X_OK):
        sys.exit(f"no gateway at {gatepost}: build it first, or name it in GATEPOST")
    free = "127.0.0.1:0"
    terminal = Terminal([gatepost, "demo", "--listen", free, "--issuer-listen", free])
    try:
        welcome = terminal.wait_for(lambda lines: "Each decision" in "\n".join(lines[:-1]))
        text = plain("\n".join(welcome))
        url = re.search(r"MCP server +(\S+)", text)[1]
        tokens = {person.lower(): token for person, token in re.findall(r"^([A-Z]+)=(\S+)$", text, re.MULTILINE)}
        for person, method, tool in CALLS:
            before = len(terminal.lines())
            call(url, tokens.get(person), method, tool)
            terminal.wait_for(lambda lines: len(lines) > before)
        return terminal.lines(), url
    finally:
        terminal.close()


def call(url, token, method, tool):
    """One request of the newest revision, which needs no session."""
    revision = "2026-07-28"
    params = {"name": tool, "arguments": ARGUMENTS.get(tool, {})} if tool else {}
    params["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": {"name": "picture", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
        "Mcp-Method": method,
    }
    if tool:
        headers["Mcp-Name"] = tool
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=SECS_MAX) as answer:
            answer.read()
    except urllib.error.HTTPError as refusal:
        refusal.read()


def shown(lines, url):
    """What of the lines the picture shows, with equal ports and times."""
    picture = ["\x1b[2m$\x1b[0m \x1b[1mcargo run -- demo\x1b[0m"]
    seconds = 0
    hidden = False
    for line in lines:
        line = line.replace(url, "http://127.0.0.1:8080/mcp")
        if plain(line).startswith("Your client opens"):
            picture.append(line.partition(" Or paste")[0])
            hidden = True
        elif plain(line).startswith("Each decision"):
            picture.append("\x1b[2m…\x1b[0m")
            picture.append(line)
            hidden = False
        elif not hidden:
            now = f"09:30:{seconds:02}"
            line, decisions = re.subn(r"^(\x1b\[2m)\d\d:\d\d:\d\d", rf"\g<1>{now}", line)
            seconds += 4 * decisions
            picture.append(line)
    return picture


def draw(lines):
    """The lines as an SVG. Every run of a colour has its place and length, so that columns stand under each other in
    whatever font there is."""
    columns = max(len(plain(line)) for line in lines)
    width, height = round(columns * COLUMN) + 2 * MARGIN, len(lines) * ROW + 2 * MARGIN
    styles = "".join(f".c{code}{{{style}}}" for code, style in COLOURS.items())
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="{FONTS}" font-size="{FONT_SIZE}">',
        "<title>A terminal that runs gatepost demo and shows each decision as it is made</title>",
        f"<style>text{{white-space:pre}}{styles}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>',
    ]
    for row, line in enumerate(lines):
        y = MARGIN + row * ROW + FONT_SIZE
        column, code = 0, 0
        for part in re.split(r"(\x1b\[\d+m)", line):
            if part.startswith("\x1b"):
                code = int(part[2:-1])
                continue
            for run in re.finditer(r"\S+(?: \S+)*", part):
                x, length = MARGIN + (column + run.start()) * COLUMN, len(run[0]) * COLUMN
                text = html.escape(run[0], quote=False)
                out.append(f'<text class="c{code}" x="{x:.1f}" y="{y}" textLength="{length:.1f}">{text}</text>')
            column += len(part)
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail where the picture is not what the demo prints")
    check = parser.parse_args().check
    picture = draw(shown(*play()))
    if not check:
        PICTURE.write_text(picture)
    elif picture != PICTURE.read_text():
        sys.exit("docs/demo.svg is not what the demo prints: draw it anew with docs/demo.py")


if __name__ == "__main__":
    main()
