#!/usr/bin/env python3
"""Pillow as a web app uses it: RENDITIONS as JSON, a folder for them, uploads. Prints what it took, without its start.

With --make KIND FOLDER PHOTO…: makes uploads of the kinds that no package has, always the same.
"""
import io
import json
import random
import resource
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps, ImageSequence


def convert(path, renditions, folder):
    upload = Path(path).read_bytes()
    largest = max(one["width"] for one in renditions)
    picture = Image.open(io.BytesIO(upload))
    if "animation" in renditions[0]:
        one = renditions[0]
        frames, delays = [], []
        for frame in ImageSequence.Iterator(picture):
            delays.append(frame.info.get("duration", 100))
            frame = frame.convert("RGBA")
            frame.thumbnail((one["width"], one["height"]), Image.Resampling.LANCZOS)
            frames.append(frame)
        frames[0].save(Path(folder) / f"{Path(path).stem}-{one['name']}.webp", save_all=True, append_images=frames[1:],
                       duration=delays, quality=one["quality"], method=4)
        return
    # Twice as large as needed, as everywhere here.
    picture.draft("RGB", (largest * 2, largest * 2))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode not in ("RGB", "RGBA", "L"):
        picture = picture.convert("RGB")
    for one in sorted(renditions, key=lambda one: -one["width"]):
        small = picture.copy()
        small.thumbnail((one["width"], one["height"]), Image.Resampling.LANCZOS, reducing_gap=None)
        if one["format"] == "jpeg" and small.mode == "RGBA":
            small = small.convert("RGB")
        small.save(Path(folder) / f"{Path(path).stem}-{one['name']}.{one['format']}", quality=one["quality"])


def make(kind, folder, sources):
    folder = Path(folder)
    dice = random.Random(7)
    if kind == "screenshots":
        for number in range(8):
            screenshot(dice).save(folder / f"{number}.png")
        return
    for number, path in enumerate(sources):
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        if kind == "webp":
            picture.thumbnail((4000, 4000))
            picture.save(folder / f"{number}.webp", quality=85)
        else:
            animation(picture, folder / f"{number}.gif")


def screenshot(dice):
    """Windows, text and icons, 1920 × 1080."""
    picture = Image.new("RGB", (1920, 1080), (36, 44, 58))
    draw = ImageDraw.Draw(picture)
    words = "the quick brown fox jumps over a lazy dog while nobody looks at all".split()
    for _ in range(4):
        left, top = dice.randrange(0, 1200), dice.randrange(0, 600)
        width, height = dice.randrange(500, 900), dice.randrange(300, 500)
        draw.rectangle((left, top, left + width, top + height), fill=(250, 250, 250))
        draw.rectangle((left, top, left + width, top + 28), fill=tuple(dice.randrange(60, 200) for _ in range(3)))
        for line in range(top + 40, top + height - 20, 16):
            text = " ".join(dice.choice(words) for _ in range(width // 45))
            draw.text((left + 12, line), text, fill=(30, 30, 30))
    for number in range(24):
        draw.ellipse((20 + number * 78, 1020, 68 + number * 78, 1068), fill=tuple(dice.randrange(256) for _ in range(3)))
    return picture


def animation(picture, path):
    """A pan over a photo: 24 frames of 480 × 270."""
    picture.thumbnail((960, 960))
    frames = []
    for step in range(24):
        left, top = step * 8 % max(1, picture.width - 480), step * 4 % max(1, picture.height - 270)
        frame = picture.crop((left, top, left + 480, top + 270))
        frames.append(frame.quantize(256, dither=Image.Dither.FLOYDSTEINBERG))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)


def main():
    if sys.argv[1] == "--make":
        make(sys.argv[2], sys.argv[3], sys.argv[4:])
        return
    renditions, folder, uploads = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    Image.init()
    cpu, start = time.process_time(), time.monotonic()
    for upload in uploads:
        convert(upload, renditions, folder)
    print(json.dumps({
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.monotonic() - start,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()
