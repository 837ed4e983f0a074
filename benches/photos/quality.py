#!/usr/bin/env python3
"""How small pictures look beside what they were made of: FOLDERS as JSON, by program, a rendition's name, uploads.

The reference is the whole photo, decoded in full, upright, in sRGB, and resized by Pillow's Lanczos to the very size of what is looked at,
without loss. Looks are told as SSIMULACRA2: 100 is the same, 90 cannot be told apart side by side, 70 is high quality, 50 medium. Prints JSON.
"""
import io
import json
import sys
from pathlib import Path

from PIL import Image, ImageCms, ImageOps
from ssimulacra2 import compute_ssimulacra2


def whole(path):
    """The photo as it is displayed, in sRGB."""
    picture = Image.open(path)
    profile = picture.info.get("icc_profile")
    picture = ImageOps.exif_transpose(picture)
    if profile and picture.mode == "RGB":
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return picture.convert("RGB")


def made(folder, stem, name):
    """What a program made of an upload, whatever it calls JPEG."""
    return next((path for path in Path(folder).glob(f"{stem}-{name}.jp*g")), None)


def main():
    folders, name, uploads = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    found = {program: {"scores": [], "bytes": 0} for program in folders}
    for upload in uploads:
        photo, references = whole(upload), {}
        for program, folder in folders.items():
            path = made(folder, Path(upload).stem, name)
            if path is None:
                continue
            size = Image.open(path).size
            if size not in references:
                references[size] = io.BytesIO()
                photo.resize(size, Image.Resampling.LANCZOS).save(references[size], "png")
            found[program]["scores"].append(compute_ssimulacra2(references[size], path))
            found[program]["bytes"] += path.stat().st_size
    print(json.dumps(found))


if __name__ == "__main__":
    main()
