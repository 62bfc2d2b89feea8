"""EXIF data: which way up an image is, and what of it an upscaled copy keeps."""
from PIL import ExifTags, Image

ORIENTATION = ExifTags.Base.Orientation
# Turns pixels as the tag says.
UPRIGHT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}
TURNED = (5, 6, 7, 8)  # those that swap height and width
# Of a TIFF's own directory, what describes the picture and not how its pixels lie in the file.
KEPT = {ORIENTATION, *(ExifTags.Base[name] for name in (
    'ImageDescription', 'Make', 'Model', 'XResolution', 'YResolution', 'ResolutionUnit', 'Software', 'DateTime',
    'Artist', 'HostComputer', 'Copyright', 'ExifOffset', 'GPSInfo', 'Rating', 'XPTitle', 'XPComment', 'XPAuthor',
    'XPKeywords', 'XPSubject'))}


def read_exif(load):
    """Which way up an image is, and the EXIF data that an upright copy of another size keeps.

    Damaged EXIF data are no reason to refuse the pixels; they count as none.

    Args:
        load (Callable[[], Image.Exif]): Reads them, or fails.

    Returns:
        tuple: A key of :data:`UPRIGHT` or 1, and the data (bytes) or None.
    """
    orientation = 1
    try:
        exif = load()
        orientation = exif.get(ORIENTATION, 1)
        return (orientation if orientation in UPRIGHT else 1), _kept(exif)
    except Exception:  # Pillow's reading and writing of it fail in many ways, depending on the byte that is wrong
        return (orientation if orientation in list(UPRIGHT) else 1), None


def _kept(exif):
    """bytes | None: The data without what holds for the file alone."""
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag in KEPT and tag != ORIENTATION and tag not in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            kept[tag] = value
    for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        values = dict(exif.get_ifd(ifd))
        for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop):
            values.pop(tag, None)
        if values:
            kept.get_ifd(ifd).update(values)
            kept[ifd] = values
    if not len(kept):
        return None
    if ORIENTATION in exif:
        kept[ORIENTATION] = 1
    return kept.tobytes()
