#!/usr/bin/env python3
"""Tricky uploads as converted, on one sheet to look at: docs/contact-sheet.png.

    python3 -m venv VENV && VENV/bin/pip install pillow
    VENV/bin/python benches/photos/contact_sheet.py [PROGRAM]       # default: target/release/lazaret

All but the last few are the same chart: an F that shows turns, flips and crops, colour bars, a grey ramp, and a soft circle that shows fringes.
"""
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
CELL, LABEL, COLUMNS = (200, 150), 16, 7


def chart(alpha=False):
    picture = Image.new("RGBA" if alpha else "RGB", (400, 300), (0, 0, 0, 0) if alpha else (245, 245, 245))
    draw = ImageDraw.Draw(picture)
    for index, colour in enumerate(["red", "lime", "blue", "cyan", "magenta", "yellow", "white", "black"]):
        draw.rectangle((index * 50, 0, index * 50 + 49, 59), fill=colour)
    for column in range(400):
        draw.line((column, 240, column, 299), fill=(column * 255 // 399,) * 3)
    draw.rectangle((40, 80, 64, 220), fill=(200, 60, 20))
    draw.rectangle((40, 80, 130, 104), fill=(200, 60, 20))
    draw.rectangle((40, 136, 105, 160), fill=(200, 60, 20))
    disc = Image.new("L", picture.size, 0)
    ImageDraw.Draw(disc).ellipse((220, 80, 360, 220), fill=255)
    disc = disc.filter(ImageFilter.GaussianBlur(10))
    if alpha:
        # Hidden colours are green: a fringe of it is a fault.
        hidden = Image.new("RGBA", picture.size, (0, 160, 0, 0))
        hidden.alpha_composite(picture)
        below = picture.getchannel("A")
        picture = Image.composite(Image.new("RGB", picture.size, (240, 120, 0)), hidden.convert("RGB"), disc.point(lambda value: 255 * (value > 0)))
        picture.putalpha(Image.composite(disc, below, disc.point(lambda value: 255 * (value > 0))))
        return picture
    picture.paste((240, 120, 0), mask=disc)
    return picture


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned(orientation):
    """The chart, stored so that EXIF's turn makes it upright."""
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    picture = chart()
    for step in undo.get(orientation, []):
        picture = picture.transpose(Image.Transpose(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture, "JPEG", exif=exif, quality=90)


def uploads():
    plain, clear = chart(), chart(alpha=True)
    yield from ((f"JPEG, orientation {number}", turned(number)) for number in range(1, 9))
    yield "JPEG, CMYK", saved(plain.convert("CMYK"), "JPEG", quality=90)
    yield "JPEG, grey", saved(plain.convert("L"), "JPEG")
    yield "JPEG, progressive 4:4:4", saved(plain, "JPEG", progressive=True, subsampling=0)
    jpeg = saved(plain, "JPEG", quality=95)
    yield "JPEG, cut, tolerated", jpeg[: len(jpeg) * 2 // 3]
    yield "PNG", saved(plain, "PNG")
    yield "PNG, 1 bit", saved(plain.convert("1"), "PNG")
    yield "PNG, palette, transparent", saved(plain.quantize(32), "PNG", transparency=0)
    yield "PNG, soft alpha", saved(clear, "PNG")
    yield "PNG, 16 bits grey", saved(plain.convert("I").point(lambda value: value * 257).convert("I;16"), "PNG")
    yield "GIF", saved(plain.quantize(64), "GIF")
    yield "GIF, transparent", saved(clear, "GIF")
    yield "WebP, lossy", saved(plain, "WEBP", quality=80)
    yield "WebP, lossy, soft alpha", saved(clear, "WEBP", quality=80)
    yield "WebP, lossless, soft alpha", saved(clear, "WEBP", lossless=True, exact=True)
    yield "TIFF, LZW", saved(plain, "TIFF", compression="tiff_lzw")
    yield "TIFF, CMYK, deflate", saved(plain.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate")
    yield "BMP, 8 bits", saved(plain.quantize(256), "BMP")
    yield "BMP, 24 bits", saved(plain, "BMP")
    yield "ICO, alpha", saved(clear.resize((128, 96)), "ICO", sizes=[(128, 96), (32, 24)])
    yield "PPM", saved(plain, "PPM")
    yield "AVIF, 4:2:0", (ROOT / "fixtures/codec/420.avif").read_bytes()
    yield "AVIF, 10 bits, alpha", (ROOT / "fixtures/codec/444_10_alpha.avif").read_bytes()
    yield "JPEG XL, lossy, alpha", (ROOT / "fixtures/codec/lossy_alpha.jxl").read_bytes()
    yield "JPEG XL, grey", (ROOT / "fixtures/codec/grey.jxl").read_bytes()
    yield "SVG", b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><defs><linearGradient id="g"><stop stop-color="red"/>
        <stop offset="1" stop-color="blue"/></linearGradient><filter id="f"><feGaussianBlur stdDeviation="6"/></filter></defs>
        <rect width="400" height="90" fill="url(#g)"/><circle cx="290" cy="190" r="70" fill="orange" filter="url(#f)"/>
        <text x="30" y="200" font-size="60" fill="teal">Lazaret</text><image href="file:///etc/passwd" width="50" height="50"/></svg>"""


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/lazaret"
    made = list(uploads())
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        paths = []
        for number, (_, content) in enumerate(made):
            paths.append(place / f"{number:02}")
            paths[-1].write_bytes(content)
        rendition = f"name=sheet,format=png,width={CELL[0]},height={CELL[1]},fit=contain,enlarge=true,background=transparent,tolerate_truncated=true"
        out = subprocess.run([program, "convert", "--json", "--state", place / "state", "--rendition", rendition, *paths],
                             capture_output=True, text=True)
        verdicts = [json.loads(line) for line in out.stdout.splitlines()]
        rows = -(-len(made) // COLUMNS)
        step = (CELL[0] + 8, CELL[1] + LABEL + 8)
        sheet = Image.new("RGB", (COLUMNS * step[0] + 8, rows * step[1] + 8), (128, 128, 140))
        draw = ImageDraw.Draw(sheet)
        for number, ((label, _), verdict) in enumerate(zip(made, verdicts, strict=True)):
            left, top = 8 + number % COLUMNS * step[0], 8 + number // COLUMNS * step[1]
            # Squares show what is transparent.
            for x in range(0, CELL[0], 10):
                for y in range(0, CELL[1], 10):
                    shade = 255 if (x + y) // 10 % 2 else 225
                    draw.rectangle((left + x, top + y, left + x + 9, top + y + 9), fill=(shade,) * 3)
            if verdict["renditions"]:
                picture = Image.open(verdict["renditions"][0]["path"]).convert("RGBA")
                sheet.paste(picture, (left, top), picture)
            else:
                draw.text((left + 8, top + 60), f"{verdict['status']}: {verdict['reason']}", fill="black")
            draw.text((left, top + CELL[1] + 1), label, fill="white")
        sheet.save(ROOT / "docs/contact-sheet.png", optimize=True)


if __name__ == "__main__":
    main()
