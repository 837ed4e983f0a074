#!/usr/bin/env python3
"""What each fixture costs other programs, under the limits that each recommends for untrusted uploads, beside Lazaret: one table, one run.

    make bench-hostile [PATIENCE=30]

One process per fixture and program, asked for one thing: a WebP within 320 x 320. Told for each: CPU time of all its processes, wall time,
peak memory, and whether it survived: `made` a picture, `refused`, `died` by a signal, or had to be `killed` when its time was up, which no
program but Lazaret bounds by itself. A program that is not there is named as missing. Writes a plot of CPU time per fixture to
docs/hostile.svg with --plot, and all figures as JSON with --json.

The limits: ImageMagick, its published policy for web services; libvips, no untrusted loaders and its default nesting limits; sharp,
its default pixel limit and a time-out of its own; Pillow, its decompression bomb check as an error.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAGICK = next(filter(None, map(shutil.which, ("magick", "convert-im6"))), None)
EDGE = 320

# What ImageMagick's project recommends for a web service: resources, and only formats that browsers send.
POLICY = """<policymap>
""" + "".join(f'  <policy domain="resource" name="{name}" value="{value}"/>\n' for name, value in [
    ("memory", "256MiB"), ("map", "512MiB"), ("width", "8KP"), ("height", "8KP"), ("area", "16KP"), ("disk", "1GiB"),
    ("file", "768"), ("thread", "1"), ("time", "120"), ("list-length", "32")]) + """  <policy domain="delegate" rights="none" pattern="*"/>
  <policy domain="path" rights="none" pattern="@*"/>
  <policy domain="coder" rights="none" pattern="*"/>
  <policy domain="coder" rights="read | write" pattern="{BMP,GIF,JPEG,JPG,PNG,TIFF,WEBP,ICO}"/>
</policymap>
"""

PILLOW = """
import sys, warnings
from PIL import Image
warnings.simplefilter("error", Image.DecompressionBombWarning)
with Image.open(sys.argv[1]) as image:
    image.thumbnail((320, 320))
    image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA", "P") else "RGB").save(sys.argv[2])
"""

SHARP = """
import { createRequire } from "node:module";
const sharp = createRequire(process.env.MODULES + "/")("sharp");
sharp.concurrency(1);
await sharp(process.argv[2]).timeout({ seconds: 20 }).resize({ width: 320, height: 320, fit: "inside", withoutEnlargement: true }).toFile(process.argv[3]);
"""


def peers(work, program, place):
    """Each program that there is: its name, its command for a file, its environment. Those missing: their names."""
    (place / "magick").mkdir()
    (place / "magick/policy.xml").write_text(POLICY)
    (place / "pillow.py").write_text(PILLOW)
    (place / "sharp.mjs").write_text(SHARP)
    found = {"lazaret": (lambda file, out: [program, "convert", "--json", "--state", place / "state", "--out", place / "out", "--rendition",
                                            f"name=t,format=webp,width={EDGE},height={EDGE}", file], {})}
    missing = []

    def add(name, there, command, env=None):
        if there:
            found[name] = (command, env or {})
        else:
            missing.append(name)

    add("ImageMagick", MAGICK, lambda file, out: [MAGICK, f"{file}[0]", "-auto-orient", "-thumbnail", f"{EDGE}x{EDGE}>", out],
        {"MAGICK_CONFIGURE_PATH": str(place / "magick")})
    add("vipsthumbnail", shutil.which("vipsthumbnail"), lambda file, out: ["vipsthumbnail", file, "--size", f"{EDGE}x{EDGE}>", "-o", out],
        {"VIPS_BLOCK_UNTRUSTED": "1", "VIPS_CONCURRENCY": "1"})
    add("sharp", shutil.which("node") and (work / "node_modules/sharp").is_dir(),
        lambda file, out: ["node", place / "sharp.mjs", file, out], {"MODULES": str(work / "node_modules")})
    add("Pillow", (work / "venv/bin/python").exists(), lambda file, out: [work / "venv/bin/python", place / "pillow.py", file, out])
    return found, missing


def run(command, env, out, patience):
    """One process: what became of it, and what it cost."""
    out.unlink(missing_ok=True)
    start = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **env},
                             start_new_session=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    # Whoever is not done by then is killed, with all it started.
    def stop(*_):
        os.killpg(child.pid, signal.SIGKILL)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, patience)
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    code = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if code == -signal.SIGKILL and wall >= patience:
        end = "killed"
    elif code < 0:
        end = "died"
    elif said.startswith(b"{"):
        end = {"converted": "made"}.get(json.loads(said)["status"], "refused")
    else:
        end = "made" if code == 0 and out.exists() and out.stat().st_size else "refused"
    return {"end": end, "cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall, "peak_bytes": used.ru_maxrss * 1024}


def table(figures, names):
    """For each program: what became of the fixtures, and the worst and the sum of what they cost."""
    print(f"\n{'program':<16}{'made':>6}{'refused':>9}{'died':>6}{'killed':>8}{'CPU in all':>12}{'worst CPU':>12}{'worst wall':>12}{'worst peak':>12}")
    for name in names:
        all_of = [of[name] for of in figures.values()]
        count = {end: sum(one["end"] == end for one in all_of) for end in ("made", "refused", "died", "killed")}
        print(f"{name:<16}{count['made']:>6}{count['refused']:>9}{count['died']:>6}{count['killed']:>8}"
              f"{sum(one['cpu_s'] for one in all_of):>10.1f} s{max(one['cpu_s'] for one in all_of):>10.2f} s"
              f"{max(one['wall_s'] for one in all_of):>10.2f} s{max(one['peak_bytes'] for one in all_of) / 2**20:>8.0f} MiB")


COLOURS = {"lazaret": "#0b6e4f", "ImageMagick": "#c8553d", "vipsthumbnail": "#7a6c9d", "sharp": "#2b6cb0", "Pillow": "#b7950b"}


def plot(figures, names, patience, path):
    """A dot for each fixture and program, by CPU time, logarithmic; fixtures in the order of what they cost at worst."""
    order = sorted(figures, key=lambda file: max(figures[file][name]["cpu_s"] for name in names))
    width, height, left, top, bottom = 1000, 420, 60, 40, 40
    low, high = 0.005, patience * 1.5
    import math

    def y(cpu):
        share = math.log(max(cpu, low) / low) / math.log(high / low)
        return height - bottom - share * (height - top - bottom)

    def x(index):
        return left + (index + 0.5) * (width - left - 20) / len(order)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>',
             f'<text x="{left}" y="16" font-size="14">CPU time for each of {len(order)} hostile and malformed files, seconds</text>']
    for tick in (0.01, 0.1, 1, 10):
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for number, name in enumerate(names):
        parts.append(f'<circle cx="{left + 8 + number * 130}" cy="32" r="4" fill="{COLOURS[name]}"/>'
                     f'<text x="{left + 17 + number * 130}" y="36">{name}</text>')
    # Lazaret last, so that its dots lie on top.
    for name in sorted(names, key=lambda name: name == "lazaret"):
        for index, file in enumerate(order):
            one = figures[file][name]
            mark = "stroke=\"#000\" stroke-width=\"1.5\"" if one["end"] in ("died", "killed") else ""
            parts.append(f'<circle cx="{x(index):.1f}" cy="{y(one["cpu_s"]):.1f}" r="3" fill="{COLOURS[name]}" fill-opacity="0.8" {mark}>'
                         f'<title>{file}: {name}, {one["end"]}, {one["cpu_s"]:.2f} s</title></circle>')
    parts.append(f'<text x="{left}" y="{height - 12}">Files in the order of their worst cost. A black ring: the program died, or was killed after {patience:g} s.</text></svg>')
    path.write_text("\n".join(parts) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "target/bench-photos", help="where sharp and Pillow were installed")
    parser.add_argument("--patience", type=float, default=30, help="seconds of wall time after which a program is killed")
    parser.add_argument("--plot", type=Path, help="write an SVG there")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()

    subprocess.run(["cargo", "build", "-q", "--release", "--locked", "--bin", "lazaret", "--example", "fixtures"], cwd=ROOT, check=True)
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    with tempfile.TemporaryDirectory(prefix="lazaret-hostile-") as place:
        place = Path(place)
        subprocess.run([built / "examples/fixtures", "--large", place / "files"], check=True)
        files = sorted(file for file in (place / "files").rglob("*") if file.is_file())
        found, missing = peers(options.work, built / "lazaret", place)
        figures = {}
        for number, file in enumerate(files):
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{len(files)} {file.name:<50}", end="", file=sys.stderr)
            figures[str(file.relative_to(place / "files"))] = {
                name: run(command(file, place / "out.webp"), env, place / "out.webp", options.patience) for name, (command, env) in found.items()}
    for file, of in figures.items():
        ends = ", ".join(f"{name} {one['end']} {one['cpu_s']:.2f} s {one['peak_bytes'] >> 20} MiB" for name, one in of.items()
                         if one["cpu_s"] >= 1 or one["peak_bytes"] >= 512 << 20 or one["end"] in ("died", "killed"))
        if ends:
            print(f"{file}: {ends}")
    table(figures, list(found))
    for name in missing:
        print(f"{name:<16} MISSING: make bench-photos installs it")
    if options.plot:
        plot(figures, list(found), options.patience, options.plot)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
