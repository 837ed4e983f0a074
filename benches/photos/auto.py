#!/usr/bin/env python3
"""Whether `quality: auto` is worth it: photos at 640 pixels, by auto and by fixed qualities, as SSIMULACRA2 sees them and in bytes.

    benches/photos/auto.py WORK        (the folder that `make bench-photos` made: its photos, and its Python with ssimulacra2)

A quality that suits one picture wastes bytes on the next one, or shows on it. So what counts is the worst tenth of the pictures, and how far the
scores are from each other, beside the fixed quality that takes as many bytes in all.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

EDGE = 640
FIXED = (60, 65, 70, 75, 80, 85, 90)


def main():
    work = Path(sys.argv[1])
    python = work / "venv/bin/python"
    # With the Python that has ssimulacra2.
    if "AUTO_AGAIN" not in os.environ:
        sys.exit(subprocess.run([python, __file__, work], env={**os.environ, "AUTO_AGAIN": "1"}).returncode)
    photos = sorted((work / "photos").iterdir())
    print("| format | quality | bytes per picture | SSIMULACRA2, mean | worst tenth | spread (standard deviation) |")
    print("|---|---|---:|---:|---:|---:|")
    for format in ("jpeg", "webp"):
        compare(photos, format)


def compare(photos, format):
    from ssimulacra2 import compute_ssimulacra2

    size = {"width": EDGE, "height": EDGE, "fit": "inside"}
    renditions = [{"name": "whole", "format": "png", **size}, {"name": "auto", "format": format, "quality": "auto", **size}]
    renditions += [{"name": f"q{quality}", "format": format, "quality": quality, **size} for quality in FIXED]
    with tempfile.TemporaryDirectory() as out:
        command = ["cargo", "bench", "-q", "--locked", "--bench", "photos", "--", "in-process"]
        recipe = json.dumps({"renditions": renditions})
        subprocess.run([*command, recipe, out, *photos], check=True, stdout=subprocess.DEVNULL)
        rows = {}
        for name in [rendition["name"] for rendition in renditions[1:]]:
            scores, length = [], 0
            for photo in photos:
                path = next(Path(out).glob(f"{photo.stem}-{name}.*"))
                scores.append(compute_ssimulacra2(next(Path(out).glob(f"{photo.stem}-whole.png")), path))
                length += path.stat().st_size
            rows[name] = (length / len(photos), sorted(scores))
    for name, (length, scores) in rows.items():
        tell(format, name.removeprefix("q"), length, scores)
    tell(format, *as_long(rows))


def as_long(rows):
    """The fixed quality that takes as many bytes as auto: between two that were tried, score by score."""
    wanted = rows["auto"][0]
    tried = [(quality, *rows[f"q{quality}"]) for quality in FIXED]
    for (low, shorter, worse), (high, longer, better) in zip(tried, tried[1:]):
        if shorter <= wanted <= longer:
            share = (wanted - shorter) / (longer - shorter)
            scores = [one + (other - one) * share for one, other in zip(worse, better)]
            return f"{low + (high - low) * share:.0f}, as many bytes as auto", wanted, scores
    return "none takes as many bytes as auto", wanted, rows["auto"][1]


def tell(format, name, length, scores):
    worst = scores[:max(1, len(scores) // 10)]
    print(f"| {format} | {name} | {length:,.0f} | {statistics.mean(scores):.2f} | {statistics.mean(worst):.2f} | {statistics.stdev(scores):.2f} |", flush=True)


if __name__ == "__main__":
    main()
