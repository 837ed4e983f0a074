#!/usr/bin/env python3
"""Converting photos beside the programs that a web app would otherwise use: CPU time, wall time and peak memory, in one run.

    make bench-photos [DIR=folder of photos] [ROUNDS=3] [WITH="--quality"]

Installs what it sets Lazaret beside: Debian's libvips-tools, imagemagick and the photos of mate-backgrounds and
plasma-workspace-wallpapers (unpacked into the work folder, not installed), Pillow into a virtual environment, sharp by npm, oximg by cargo.
What cannot be had is left out, and the table says so.

How it counts. All programs have one thread where they can be told so, and quality 80. Each case is run ROUNDS times by each program in turn,
and the median by CPU time is shown, for all processes, per upload. sharp and Pillow are used as a web app uses them: one process that is
warm already, whose start is not counted; vipsthumbnail is one process for all uploads; ImageMagick and oximg are one process each, and so is
Lazaret's sandbox, whose supervisor counts as well.

With --quality, a second table says how what was made in case (a) looks, and how long it is, at the same quality setting: see quality.py.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Debian's own name first: what is called `convert` may be something else.
MAGICK = next(filter(None, map(shutil.which, ("magick", "convert-im6"))), "convert")
PACKAGES = ["mate-backgrounds", "plasma-workspace-wallpapers"]
QUALITY = 80


def inside(edge, name, target, **more):
    return {"name": name, "width": edge, "height": edge, "fit": "inside", "format": target, "quality": QUALITY, **more}


# What is asked for: letter, words, uploads, renditions.
CASES = [
    ("a", "photos to JPEG, 512 px", "photos", [inside(512, "a", "jpeg")]),
    ("b", "photos to WebP, 512 px", "photos", [inside(512, "b", "webp")]),
    ("c", "photos to WebP and JPEG, 320, 1024, 2048 px", "photos",
     [inside(edge, f"c{edge}{target[0]}", target) for edge in (2048, 1024, 320) for target in ("webp", "jpeg")]),
    ("d", "screenshots, PNG to WebP, 512 px", "screenshots", [inside(512, "d", "webp")]),
    ("e", "WebP to JPEG, 512 px", "webp", [inside(512, "e", "jpeg")]),
    ("f", "animated GIF to WebP, 320 px", "animations", [inside(320, "f", "webp", animation="keep")]),
]


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, **more)


def quietly(*words, **more):
    return run(*words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **more)


class Measured:
    """One program's run of one case."""

    def __init__(self, cpu, wall, peak):
        self.cpu, self.wall, self.peak = cpu, wall, peak

    @staticmethod
    def of_processes(commands, env=None):
        """Of commands, one after another."""
        cpu = wall = peak = 0
        for command in commands:
            start = time.monotonic()
            with tempfile.TemporaryFile() as errors:
                child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=errors,
                                         env={**os.environ, **(env or {})})
                _, status, used = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
                wall += time.monotonic() - start
                if child.returncode:
                    errors.seek(0)
                    raise RuntimeError(f"{command[0]}: {errors.read().decode(errors='replace')[-300:]}")
            cpu += used.ru_utime + used.ru_stime
            peak = max(peak, used.ru_maxrss * 1024)
        return Measured(cpu, wall, peak)

    @staticmethod
    def of_itself(command, env=None):
        """Of a program that counts itself and says so as JSON."""
        said = run(*command, capture_output=True, text=True, env={**os.environ, **(env or {})}).stdout
        figures = json.loads(said.strip().splitlines()[-1])
        return Measured(figures["cpu_s"], figures["wall_s"], figures["peak_bytes"])


# Each of these takes uploads, renditions and a folder; returns what was measured, or None for what the program does not do.

def lazaret(mode):
    def convert(uploads, renditions, out):
        recipe = json.dumps({"renditions": renditions})
        return Measured.of_itself(["cargo", "bench", "-q", "--locked", "--bench", "photos", "--", mode, recipe, out, *uploads])
    return convert


def sharp(work):
    def convert(uploads, renditions, out):
        return Measured.of_itself(["node", HERE / "sharp.mjs", json.dumps(renditions), out, *uploads],
                                  env={"NODE_PATH": str(work / "node_modules"), "MODULES": str(work / "node_modules")})
    return convert


def pillow(work):
    def convert(uploads, renditions, out):
        return Measured.of_itself([work / "venv/bin/python", HERE / "with_pillow.py", json.dumps(renditions), out, *uploads])
    return convert


def vipsthumbnail(uploads, renditions, out):
    if "animation" in renditions[0]:
        uploads = [f"{upload}[n=-1]" for upload in uploads]
    return Measured.of_processes(
        [["vipsthumbnail", *uploads, "--size", f"{one['width']}x{one['height']}>", "-o",
          f"{out}/%s-{one['name']}.{one['format'].replace('jpeg', 'jpg')}[Q={QUALITY},strip]"] for one in renditions],
        env={"VIPS_CONCURRENCY": "1"})


def imagemagick(uploads, renditions, out):
    def command(upload):
        hint = max(one["width"] for one in renditions) * 2
        words = [MAGICK, "-limit", "thread", "1", "-define", f"jpeg:size={hint}x{hint}", upload, "-auto-orient"]
        if "animation" in renditions[0]:
            words += ["-coalesce"]
        for one in renditions:
            words += ["(", "-clone", "0--1" if "animation" in one else "0", "-thumbnail", f"{one['width']}x{one['height']}>",
                      "-quality", QUALITY, "-write", out / f"{upload.stem}-{one['name']}.{one['format'].replace('jpeg', 'jpg')}",
                      "+delete", ")"]
        return [*words, "null:"]
    return Measured.of_processes([command(upload) for upload in uploads], env={"OMP_NUM_THREADS": "1", "MAGICK_THREAD_LIMIT": "1"})


def oximg(work):
    def convert(uploads, renditions, out):
        commands = [[work / "cargo/bin/oximg", "resize", upload, one["width"], one["height"],
                     out / f"{upload.stem}-{one['name']}.{one['format'].replace('jpeg', 'jpg')}"]
                    for upload in uploads for one in renditions]
        return Measured.of_processes(commands, env={"QUALITY": str(QUALITY), "OXIMG_WEBP_QUALITY": str(QUALITY)})
    return convert


def programs(work, only):
    """Those that are asked for and there, by name; what is missing is said."""
    found = {"lazaret": lazaret("sandboxed"), "lazaret, in process": lazaret("in-process")}

    def offer(name, program, install):
        if only and name not in only:
            return
        try:
            install()
            found[name] = program
        except (subprocess.CalledProcessError, FileNotFoundError) as problem:
            said = (getattr(problem, "stderr", "") or str(problem)).strip().splitlines()
            print(f"left out: {name}: {said[-1] if said else problem}", file=sys.stderr)

    def npm():
        if not (work / "node_modules/sharp").exists():
            quietly("npm", "install", "--prefix", work, "--no-fund", "--no-audit", "sharp")

    def cargo():
        if not (work / "cargo/bin/oximg").exists():
            # No target of this project: its lints and profiles are not those of others.
            quietly("cargo", "install", "--locked", "--root", work / "cargo", "oximg", cwd=work)

    def there(program):
        return lambda: quietly(program, "--version" if program == "vipsthumbnail" else "-version")

    offer("sharp", sharp(work), npm)
    offer("vipsthumbnail", vipsthumbnail, there("vipsthumbnail"))
    offer("ImageMagick", imagemagick, there(MAGICK))
    offer("Pillow", pillow(work), lambda: install_pillow(work))
    offer("oximg", oximg(work), cargo)
    return {name: program for name, program in found.items() if not only or name in only}


def install_pillow(work, *more):
    if not (work / "venv/bin/python").exists():
        quietly(sys.executable, "-m", "venv", work / "venv")
    quietly(work / "venv/bin/python", "-m", "pip", "install", "-q", "pillow", *more)


def photos(folder, work):
    """The JPEGs of the folder, else those of the packages."""
    if folder is None:
        folder = work / "photos"
        if not folder.exists():
            unpacked = work / "unpacked"
            unpacked.mkdir(exist_ok=True)
            run("apt-get", "download", "-qq", *PACKAGES, cwd=unpacked)
            for package in unpacked.glob("*.deb"):
                run("dpkg-deb", "-x", package, unpacked)
            folder.mkdir()
            for number, path in enumerate(sorted(found for found in unpacked.rglob("*.jp*g") if not found.is_symlink())):
                shutil.copy(path, folder / f"{number:02}-{path.name}")
    found = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        sys.exit(f"{folder}: no JPEG there")
    return found


def uploads(folder, work):
    """Uploads by kind. What is not a photo is made here, from photos or from text, by Pillow, always the same."""
    found = {"photos": photos(folder, work)}
    made = {"screenshots": "png", "webp": "webp", "animations": "gif"}
    for kind, suffix in made.items():
        place = work / kind
        if not place.exists():
            install_pillow(work)
            place.mkdir()
            run(work / "venv/bin/python", HERE / "with_pillow.py", "--make", kind, place, *found["photos"][:8])
        found[kind] = sorted(place.glob(f"*.{suffix}"))
    return found


def table(rows, peer):
    print("| case | program | CPU per upload | wall | peak | CPU of sharp / its own |")
    print("|---|---|---:|---:|---:|---:|")
    for case, name, measured, count in rows:
        if isinstance(measured, str):
            print(f"| {case} | {name} | {measured} | | | |")
            continue
        beside = f"{peer[case] / measured.cpu:.2f}" if case in peer else ""
        print(f"| {case} | {name} | {measured.cpu / count * 1000:.1f} ms | {measured.wall / count * 1000:.1f} ms "
              f"| {measured.peak / 2**20:.0f} MiB | {beside} |")


def looks(work, there, uploads):
    """How what each program made of the photos looks, and its bytes."""
    install_pillow(work, "numpy", "scipy", "ssimulacra2")
    folders = {name: str(folder_of(work, name)) for name in there}
    name = CASES[0][3][0]["name"]
    said = run(work / "venv/bin/python", HERE / "quality.py", json.dumps(folders), name, *uploads, capture_output=True, text=True).stdout
    print(f"\n({name}) beside a full decode and Lanczos, without loss; quality {QUALITY} everywhere\n")
    print("| program | SSIMULACRA2, mean | worst tenth | bytes per upload |")
    print("|---|---:|---:|---:|")
    for program, found in json.loads(said).items():
        scores = sorted(found["scores"])
        if not scores:
            continue
        worst = scores[:max(1, len(scores) // 10)]
        print(f"| {program} | {sum(scores) / len(scores):.2f} | {sum(worst) / len(worst):.2f} | {found['bytes'] / len(scores):,.0f} |")


def folder_of(work, program):
    return work / "out" / program.replace(", ", "-").replace(" ", "-")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; default: those of two Debian packages")
    parser.add_argument("--work", type=Path, default=ROOT / "target/bench-photos", help="where what is fetched is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="abcdef")
    parser.add_argument("--only", help="programs, with semicolons between")
    parser.add_argument("--quality", action="store_true", help="tell how the renditions of case (a) look, and their bytes")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    work = asked.work.resolve()
    there = programs(work, [name.strip() for name in asked.only.split(";")] if asked.only else None)
    found = uploads(asked.photos, work)
    for case, words, kind, _ in CASES:
        if case in asked.cases:
            print(f"({case}) {words}: {len(found[kind])} uploads, {sum(path.stat().st_size for path in found[kind]) / 2**20:.1f} MiB")
    print()
    rows, peer = [], {}
    for case, _, kind, renditions in CASES:
        if case not in asked.cases:
            continue
        measured = {name: [] for name in there}
        # Nobody is the first to read them.
        for upload in found[kind]:
            upload.read_bytes()
        for _ in range(asked.rounds):
            for name, program in there.items():
                out = folder_of(work, name)
                out.mkdir(parents=True, exist_ok=True)
                try:
                    measured[name].append(program(found[kind], renditions, out))
                except (subprocess.CalledProcessError, RuntimeError) as problem:
                    said = (getattr(problem, "stderr", "") or str(problem)).strip().splitlines()
                    measured[name] = [f"failed: {said[-1] if said else problem}"[:120]]
        for name, runs in measured.items():
            good = [one for one in runs if isinstance(one, Measured)]
            middle = sorted(good, key=lambda one: one.cpu)[len(good) // 2] if good else runs[0]
            rows.append((case, name, middle, len(found[kind])))
            if name == "sharp" and good:
                peer[case] = middle.cpu
    table(rows, peer)
    if asked.quality and "a" in asked.cases:
        looks(work, there, found["photos"])


if __name__ == "__main__":
    main()
