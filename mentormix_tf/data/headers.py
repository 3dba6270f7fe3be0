"""What the header of an encoded image says, read by TensorFlow operations.

TensorFlow's decoders apply no EXIF orientation and allocate whatever size a header claims. These
functions work in `tf.data`, and in a SavedModel where only TensorFlow is installed. They read only
bytes outside the pixel data, and a damaged or hostile file costs them a bounded number of steps.
"""

import tensorflow as tf

__all__ = [
    "MOST_CHUNKS",
    "MOST_SEGMENTS",
    "is_plain",
    "may_be_transparent",
    "num_pixels",
    "orientation",
]

MOST_SEGMENTS = 256  # of a JPEG, that are searched for EXIF
MOST_CHUNKS = 10_000  # of a PNG, likewise; an encoder makes one for each 8 KB or more of pixels
_MOST_EXIF = 2**16  # bytes; a JPEG's segment can't be longer
_ORIENTATION, _SHORT = 0x0112, 3  # tag and type of the entry in the EXIF block
# A PNG with a color type that has an alpha channel, or with certain chunks. \C is any byte.
_SPECIAL = rb"\CPNG(\C{21}[\x04\x06]|\C*(%b))\C*"
_LITTLE, _BIG = [1, 256, 256**2, 256**3], [256**3, 256**2, 256, 1]


def is_plain(encoded: tf.Tensor) -> tf.Tensor:
    """Whether an image certainly is upright and opaque, as most are. This takes little time.

    Args:
        encoded: scalar string.

    Returns:
        Scalar bool: False for an image that may have EXIF or transparent pixels.
    """
    # A JPEG's tables, 0xDB, follow the segment of JFIF, and so no EXIF does.
    is_jfif = tf.strings.substr(encoded, 0, 6) == b"\xff\xd8\xff\xe0\0\x10"
    has_exif = tf.io.is_jpeg(encoded) & ~(is_jfif & (_part(encoded, 20, 2) == b"\xff\xdb"))
    return ~(has_exif | tf.strings.regex_full_match(encoded, _SPECIAL % b"tRNS|eXIf"))


def may_be_transparent(encoded: tf.Tensor) -> tf.Tensor:
    """Whether an image, a scalar string, is a PNG that may have transparent pixels: scalar bool."""
    return tf.strings.regex_full_match(encoded, _SPECIAL % b"tRNS")


def _is_png(encoded: tf.Tensor) -> tf.Tensor:
    """Whether an image, a scalar string, is a PNG: a scalar bool."""
    return tf.strings.substr(encoded, 0, 4) == b"\x89PNG"


def num_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Reads how many pixels an image has: height times width of a GIF's canvas or other image.

    Args:
        encoded: scalar string: JPEG, PNG, BMP or GIF.

    Returns:
        Scalar int64; 0 for other formats.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG has no header that can be read.
    """

    def sides(start, weights):
        count = len(weights)
        width = tf.reduce_sum(_bytes(encoded, start, count) * weights)
        return tf.stack([width, tf.reduce_sum(_bytes(encoded, start + count, count) * weights)])

    def is_(magic):
        return tf.strings.substr(encoded, 0, len(magic)) == magic

    kinds = [
        (tf.io.is_jpeg(encoded), lambda: tf.io.extract_jpeg_shape(encoded)[:2]),
        (_is_png(encoded), lambda: sides(16, _BIG)),
        (is_(b"BM"), lambda: sides(18, _LITTLE)),  # a negative height: rows from top to bottom
        (is_(b"GIF"), lambda: sides(6, _LITTLE[:2])),
    ]
    found = tf.case(kinds, default=lambda: tf.zeros([2], tf.int32))
    return tf.reduce_prod(tf.abs(tf.cast(found, tf.int64)))


# A call, and only when a header is worth reading: dead branches cost time in TensorFlow, too.
@tf.function(
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},
)
def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation of a JPEG or a PNG: which way up its stored pixels are.

    The first EXIF block counts. In a JPEG, it is searched among the application segments and
    comments at the beginning, at most `MOST_SEGMENTS`; in a PNG, among the first `MOST_CHUNKS`
    chunks. As in browsers, its entry must be one number of type SHORT.

    Args:
        encoded: scalar string.

    Returns:
        Scalar int32 in 1..8; 1 (upright) without an EXIF block, or if it is damaged.
    """
    start, size = tf.cond(_is_png(encoded), lambda: _png_exif(encoded), lambda: _jpeg_exif(encoded))
    return _orientation_in(_part(encoded, start, size))


def _part(encoded, start, count):
    """Like `tf.strings.substr`, but empty if it starts beyond the end."""
    return tf.strings.substr(encoded, tf.minimum(start, tf.strings.length(encoded)), count)


def _bytes(encoded, start, count):
    """`[count]`, int32: bytes of a string; 0 for those beyond its end."""
    part = _part(encoded, start, count)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int32)


def _jpeg_exif(encoded):
    """Start and length of the EXIF block in a JPEG; the length is 0 if there is none."""

    def look(at, start, size, goes_on):
        head = _bytes(encoded, at, 10)
        marker, length = head[1], head[2] * 256 + head[3]
        is_padding = marker == 0xFF
        is_application = ((marker >= 0xE0) & (marker <= 0xEF)) | (marker == 0xFE)
        found = (marker == 0xE1) & tf.reduce_all(head[4:] == list(b"Exif\0\0"))
        goes_on = (head[0] == 0xFF) & (is_padding | (is_application & (length >= 2))) & ~found
        start, size = tf.where(found, at + 10, start), tf.where(found, length - 8, size)
        return at + tf.where(is_padding, 1, 2 + length), start, size, goes_on

    return _search(look, 2, MOST_SEGMENTS)


def _png_exif(encoded):
    """Start and length of the EXIF block in a PNG; the length is 0 if there is none."""
    end = tf.strings.length(encoded)

    def look(at, start, size, goes_on):
        head = _bytes(encoded, at, 8)
        length = tf.reduce_sum(head[:4] * _BIG)
        found = tf.reduce_all(head[4:] == list(b"eXIf"))
        # Compared by subtraction, since the sum might be too large for an int32.
        goes_on = (length >= 0) & (length < end - at) & ~found
        start, size = tf.where(found, at + 8, start), tf.where(found, length, size)
        return at + tf.where(goes_on, 12 + length, 0), start, size, goes_on

    return _search(look, 8, MOST_CHUNKS)


def _search(look, at, most):
    """Calls `look(at, start, size, goes_on)` until it stops or was called `most` times."""
    state = (tf.constant(at), tf.constant(0), tf.constant(0), tf.constant(True))
    _, start, size, _ = tf.while_loop(
        lambda *state: state[-1], look, state, maximum_iterations=most
    )
    return start, tf.clip_by_value(size, 0, _MOST_EXIF)


def _orientation_in(block):
    """The orientation that an EXIF block, a scalar string, has in its first directory."""
    is_little = tf.strings.substr(block, 0, 4) == b"II*\0"
    is_big = tf.strings.substr(block, 0, 4) == b"MM\0*"

    def number(digits):
        """Of the last axis, two or four bytes."""
        count = digits.shape[-1]
        return tf.reduce_sum(digits * tf.where(is_little, _LITTLE[:count], _BIG[4 - count :]), -1)

    directory = number(_bytes(block, 4, 4))
    is_inside = (directory >= 8) & (directory < tf.strings.length(block))
    directory = tf.where(is_inside, directory, 0)
    room = (tf.strings.length(block) - directory - 2) // 12
    count = tf.clip_by_value(number(_bytes(block, directory, 2)), 0, tf.maximum(room, 0))
    part = _part(block, directory + 2, 12 * count)
    entries = tf.reshape(tf.cast(tf.io.decode_raw(part, tf.uint8), tf.int32), [-1, 12])
    tags, kinds = number(entries[:, 0:2]), number(entries[:, 2:4])
    matches = (tags == _ORIENTATION) & (kinds == _SHORT) & (number(entries[:, 4:8]) == 1)
    values = tf.boolean_mask(number(entries[:, 8:10]), matches & (is_little | is_big) & is_inside)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)
