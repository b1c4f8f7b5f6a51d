from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix, recall_score

from ganmc_lightning.cards.changes import added_confusions, class_changes, png_uri

RANDOM = np.random.default_rng(0)
LABELS, STUDENT, TEACHER = (RANDOM.integers(5, size=300) for _ in range(3))
NAMES = ["a", "b", "c", "d", "e", "never"]


def test_class_changes_equal_scikit_learns_recalls():
    changes = class_changes(LABELS, STUDENT, TEACHER, NAMES)
    assert [change.name for change in changes] == NAMES[:5]
    student, teacher = (recall_score(LABELS, predicted, average=None) for predicted in (STUDENT, TEACHER))
    np.testing.assert_allclose([change.student for change in changes], student, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose([change.change for change in changes], student - teacher, rtol=1e-9, atol=1e-10)
    assert sum(change.samples for change in changes) == 300


def test_added_confusions_equal_the_difference_of_confusion_matrices():
    found = added_confusions(LABELS, STUDENT, TEACHER, NAMES)
    expected = confusion_matrix(LABELS, STUDENT) - confusion_matrix(LABELS, TEACHER)
    np.fill_diagonal(expected, 0)
    actual = np.zeros_like(expected)
    for item in found:
        actual[NAMES.index(item.name), NAMES.index(item.predicted)] = item.student - item.teacher
    np.testing.assert_array_equal(actual, np.maximum(expected, 0))
    added = [item.student - item.teacher for item in found]
    assert added == sorted(added, reverse=True)


def test_without_teacher_all_confusions_are_counted():
    found = added_confusions(LABELS, STUDENT, None, NAMES)
    assert sum(item.student for item in found) == (LABELS != STUDENT).sum()
    assert {item.teacher for item in found} == {None}


def test_no_confusions_of_correct_predictions():
    assert added_confusions(LABELS, LABELS, TEACHER, NAMES) == ()


@pytest.mark.parametrize(("shape", "mode", "size"), [((3, 8, 6), "RGB", (6, 8)), ((1, 200, 100), "L", (48, 96))])
def test_images_are_png_files_of_limited_size(shape, mode, size):
    image = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    uri = png_uri(image)
    with Image.open(BytesIO(b64decode(uri.removeprefix("data:image/png;base64,")))) as decoded:
        assert (decoded.mode, decoded.size) == (mode, size)
        if max(shape) <= 96:
            np.testing.assert_array_equal(np.asarray(decoded), image.permute(1, 2, 0).numpy())
