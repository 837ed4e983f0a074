#!/usr/bin/env python3
"""Colours beside LittleCMS: ΔE2000, mean, 99th percentile and maximum, of charts with embedded profiles.

    python3 -m venv VENV && VENV/bin/pip install pillow numpy
    apt-get install icc-profiles-free libgs-common colord-data      # further profiles; what is not there is left out
    VENV/bin/python benches/colour/compare.py [PROGRAM]             # default: target/release/lazaret

Each chart goes through `lazaret convert` as a file with the profile in it and comes back as PNG of the same size. The reference is
LittleCMS (through Pillow) on the same pixels: perceptual intent, no black point compensation, no precalculated tables, to a matrix sRGB of version 2.
Exits with 1 where a row is over its bound.
"""
import io
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from PIL import Image, ImageCms

# Mean and maximum that are let pass: samples of 8 bits alone cost 0.3, and dark blues, where a level is most, up to 2.
BOUNDS = {"matrix": (0.4, 2.0), "grey": (0.3, 1.0), "table": (0.5, 2.5), "inks": (0.8, 3.0),
          # Two steps a channel: how to go between them is a matter of taste.
          "coarse inks": (2.0, 25.0)}
FOLDER = Path("/usr/share/color/icc")


def fixed(number):
    return struct.pack(">i", round(number * 65536))


def xyz(x, y, z):
    return b"XYZ \0\0\0\0" + fixed(x) + fixed(y) + fixed(z)


def gamma(power):
    return b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(power * 256))


def parametric(*numbers):
    kind = {1: 0, 5: 3}[len(numbers)]
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(fixed, numbers))


SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def icc(version, kind, space, pcs, tags):
    tags = {b"desc": b"desc\0\0\0\0\0\0\0\2x\0" + bytes(78), b"cprt": b"text\0\0\0\0x\0", b"wtpt": xyz(0.9642, 1, 0.8249)} | tags
    head = bytearray(128)
    head[8] = version
    head[12:24] = kind + space + pcs
    head[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head[36:40] = b"acsp"
    head[68:80] = fixed(0.9642) + fixed(1) + fixed(0.8249)
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head[0:4] = struct.pack(">I", start + len(body))
    return bytes(head) + table + body


BRADFORD = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50 = numpy.array([0.9642, 1, 0.8249])


def colorants(*corners, white=(0.3127, 0.3290)):
    """Columns: red, green, blue in XYZ, adapted to D50."""
    point = lambda x, y: numpy.array([x / y, 1, (1 - x - y) / y])
    columns = numpy.stack([point(*corner) for corner in corners], axis=1)
    columns = columns * numpy.linalg.solve(columns, point(*white))
    scale = numpy.diag((BRADFORD @ D50) / (BRADFORD @ point(*white)))
    return numpy.linalg.inv(BRADFORD) @ scale @ BRADFORD @ columns


def matrix(version, corners, curve):
    columns = colorants(*corners)
    tags = {name: xyz(*columns[:, index]) for index, name in enumerate([b"rXYZ", b"gXYZ", b"bXYZ"])}
    return icc(version, b"mntr", b"RGB ", b"XYZ ", tags | {name: curve for name in [b"rTRC", b"gTRC", b"bTRC"]})


P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
ADOBE = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)]
BT709 = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
BT2020 = [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)]
PROPHOTO = [(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)]


def table(version):
    """Adobe RGB as a table of 17 steps from RGB to Lab, 16 bits."""
    steps = numpy.linspace(0, 1, 17)
    grid = numpy.stack(numpy.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = to_lab((grid ** 2.2) @ colorants(*ADOBE).T, D50)
    scale = (65535 / 100, 257, 128) if version >= 4 else (65280 / 100, 256, 128)
    words = numpy.stack([lab[:, 0] * scale[0], (lab[:, 1] + scale[2]) * scale[1], (lab[:, 2] + scale[2]) * scale[1]], axis=1)
    words = numpy.clip(words.round(), 0, 65535).astype(">u2").tobytes()
    line = struct.pack(">HH", 0, 65535) * 3
    tag = b"mft2\0\0\0\0\3\3\x11\0" + b"".join(map(fixed, [1, 0, 0, 0, 1, 0, 0, 0, 1])) + struct.pack(">HH", 2, 2) + line + words + line
    return icc(version, b"mntr", b"RGB ", b"Lab ", {b"A2B0": tag})


def to_lab(colours, white):
    share = colours / white
    root = numpy.where(share > (6 / 29) ** 3, numpy.cbrt(share), share * 841 / 108 + 4 / 29)
    return numpy.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)


def lab_of_srgb(samples):
    part = samples.reshape(-1, 3) / 255
    light = numpy.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return to_lab(light @ colorants(*BT709).T, D50)


def difference(one, other):
    """ΔE2000 of two lists of Lab (Sharma, Wu, Dalal, 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one.T, other.T
    chroma = (numpy.hypot(a1, b1) + numpy.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * numpy.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    c1, c2 = numpy.hypot(a1 * stretch, b1), numpy.hypot(a2 * stretch, b2)
    h1 = numpy.degrees(numpy.arctan2(b1, a1 * stretch)) % 360
    h2 = numpy.degrees(numpy.arctan2(b2, a2 * stretch)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    turn = numpy.where(c1 * c2 == 0, 0, turn)
    mean = numpy.where(numpy.abs(h1 - h2) <= 180, (h1 + h2) / 2, ((h1 + h2 + 360) / 2) % 360)
    mean = numpy.where(c1 * c2 == 0, h1 + h2, mean)
    cosine = lambda angle: numpy.cos(numpy.radians(angle))
    weight = 1 - 0.17 * cosine(mean - 30) + 0.24 * cosine(2 * mean) + 0.32 * cosine(3 * mean + 6) - 0.20 * cosine(4 * mean - 63)
    light, colour = (l1 + l2) / 2, (c1 + c2) / 2
    by_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / numpy.sqrt(20 + (light - 50) ** 2))
    by_colour = (c2 - c1) / (1 + 0.045 * colour)
    by_hue = 2 * numpy.sqrt(c1 * c2) * numpy.sin(numpy.radians(turn / 2)) / (1 + 0.015 * colour * weight)
    twist = -2 * numpy.sqrt(colour**7 / (colour**7 + 25.0**7)) * numpy.sin(numpy.radians(60 * numpy.exp(-(((mean - 275) / 25) ** 2))))
    return numpy.sqrt(numpy.maximum(by_light**2 + by_colour**2 + by_hue**2 + twist * by_colour * by_hue, 0))


def chart(channels, steps, edge):
    """Every mixture of so many steps a channel, each a square of so many pixels."""
    levels = numpy.linspace(0, 255, steps).round().astype(numpy.uint8)
    patches = numpy.stack(numpy.meshgrid(*[levels] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    width = int(len(patches) ** 0.5) + 1
    patches = numpy.concatenate([patches, numpy.repeat(patches[-1:], width * width - len(patches), axis=0)])
    return patches.reshape(width, width, channels).repeat(edge, axis=0).repeat(edge, axis=1)


def picture(kind, container):
    if kind == "grey":
        return Image.fromarray(chart(1, 256, 1)[..., 0], "L")
    if "inks" in kind:
        return Image.fromarray(chart(4, 8, 8 if container == "jpeg" else 1), "CMYK")
    return Image.fromarray(chart(3, 24, 1), "RGB")


def compare(program, name, kind, profile, container="png"):
    image = picture(kind, container)
    file = io.BytesIO()
    options = {"quality": 100, "subsampling": 0} if container == "jpeg" else {}
    image.save(file, container, icc_profile=profile, **options)
    if container == "jpeg":
        image = Image.open(io.BytesIO(file.getvalue()))
        image.load()
    target = ImageCms.ImageCmsProfile(io.BytesIO(matrix(2, BT709, parametric(*SRGB_CURVE))))
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    flags = ImageCms.Flags.NOOPTIMIZE | ImageCms.Flags.NOCACHE
    reference = ImageCms.profileToProfile(image, source, target, renderingIntent=0, outputMode="RGB", flags=flags)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        upload = folder / f"chart.{container}"
        upload.write_bytes(file.getvalue())
        command = [program, "convert", str(upload), "--state", folder / "state", "--out", folder / "out", "--json"]
        done = subprocess.run(command + ["--rendition", "name=chart,format=png"], capture_output=True, text=True)
        report = json.loads(done.stdout)
        if report["status"] != "converted":
            raise SystemExit(f"{name}: {report}")
        made = next((folder / "out").rglob("*.png"))
        ours = Image.open(made).convert("RGB")
        ours.load()
    centre = slice(4, None, 8) if container == "jpeg" else slice(None)
    lab = [lab_of_srgb(numpy.asarray(picture, dtype=float)[centre, centre]) for picture in (ours, reference)]
    apart = difference(*lab)
    mean, maximum = apart.mean(), apart.max()
    well = mean <= BOUNDS[kind][0] and maximum <= BOUNDS[kind][1] and not report["notes"]
    notes = " ".join(report["notes"])
    print(f"{name:<34} {container:<5} {kind:<11} {mean:6.2f} {numpy.percentile(apart, 99):6.2f} {maximum:6.2f}  {'' if well else 'over'} {notes}")
    return well


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "target/release/lazaret"
    srgb = parametric(*SRGB_CURVE)
    rows = [
        ("sRGB, v4 matrix", "matrix", matrix(4, BT709, srgb)),
        ("Display P3, v4 matrix", "matrix", matrix(4, P3, srgb)),
        ("Adobe RGB, v2 matrix", "matrix", matrix(2, ADOBE, gamma(2.19921875))),
        ("BT.2020, gamma 2.4, v4 matrix", "matrix", matrix(4, BT2020, parametric(2.4))),
        ("ProPhoto, gamma 1.8, v2 matrix", "matrix", matrix(2, PROPHOTO, gamma(1.8))),
        ("Adobe RGB, v2 table", "table", table(2)),
        ("Adobe RGB, v4 table", "table", table(4)),
        ("grey, gamma 1.8", "grey", icc(2, b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(1.8)})),
        ("grey, gamma 2.2", "grey", icc(2, b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(2.2)})),
        ("grey, gamma 1.0, v4", "grey", icc(4, b"mntr", b"GRAY", b"XYZ ", {b"kTRC": parametric(1.0)})),
    ]
    for path, kind in [
        ("colord/AdobeRGB1998.icc", "matrix"), ("colord/ProPhotoRGB.icc", "matrix"), ("colord/WideGamutRGB.icc", "matrix"),
        ("colord/ECI-RGBv2.icc", "matrix"), ("colord/SwappedRedAndGreen.icc", "matrix"), ("LStar-RGB.icc", "matrix"),
        ("compatibleWithAdobeRGB1998.icc", "matrix"), ("ghostscript/rommrgb.icc", "matrix"), ("ghostscript/esrgb.icc", "table"),
        ("Gray-CIE_L.icc", "grey"), ("Gray.icc", "grey"), ("ghostscript/default_gray.icc", "grey"),
        ("ghostscript/default_cmyk.icc", "inks"), ("ghostscript/ps_cmyk.icc", "coarse inks"),
    ]:
        if (FOLDER / path).exists():
            rows.append((path, kind, (FOLDER / path).read_bytes()))
    print(f"{'profile':<34} {'in':<5} {'kind':<11} {'mean':>6} {'99 %':>6} {'max':>6}")
    well = True
    for name, kind, profile in rows:
        containers = ["jpeg", "tiff"] if "inks" in kind else ["png"]
        for container in containers:
            well &= compare(program, name, kind, profile, container)
    sys.exit(not well)


if __name__ == "__main__":
    main()
