"""Pages to look at, for the tests."""

import io

import numpy as np
from PIL import Image

from mentormix_tf.reports.audit_page import AuditPage, Card

HOSTILE = [
    'quote"d, and comma',
    "<script>document.title = 'owned'</script>",
    "</script><img src=x onerror=\"document.title = 'owned'\">",
    "a|b",
    "=cmd|' /C calc'!A0",
    "مرحبا",
    "🐈‍⬛",
    "line\u2028separator",
    "$title ${data} &amp;",
]
SHA256 = "ab" * 32


def picture(seed: int) -> bytes:
    pixels = np.random.RandomState(seed).randint(256, size=(8, 8)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def page(count=60, class_names=("cat", "dog", "owl"), every_image=True, **changes) -> AuditPage:
    """A page of some examples, each the class after its given one."""
    random, classes = np.random.RandomState(0), len(class_names)
    qualities = np.sort(random.uniform(size=max(count, 1) * 3))
    flagged = qualities < 0.2
    given = random.randint(classes, size=count)
    confusions = np.zeros((classes, classes), int)
    np.add.at(confusions, (given, (given + 1) % classes), 1)
    cards = [
        Card(
            id=f"train_{i:05d}",
            file=f"photos/{i}.jpg",
            given=int(given[i]),
            suggested=int(given[i] + 1) % classes,
            quality=float(qualities[i]),
            is_issue=bool(flagged[i]),
            image=picture(i % 50) if every_image or i % 2 else None,
            why={"margin": -1.5, "forgetting events": float("nan") if i % 3 else 2.0},
            like_given=[picture(1), picture(2)],
            like_suggested=[picture(3)],
        )
        for i in range(count)
    ]
    found = dict(
        title="Label audit of pets",
        subtitle="runs/pets",
        notes=["A note & more."],
        split_sha256=SHA256,
        class_names=class_names,
        noise_rate=0.123,
        interval=(0.1, 0.15),
        confusions=confusions,
        qualities=qualities,
        flagged=flagged,
        cards=cards,
    )
    return AuditPage(**{**found, **changes})
