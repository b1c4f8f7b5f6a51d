from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folders import find_images, list_classes, list_images

COMPOSED, DECOMPOSED = "m\u00fcsli", "mu\u0308sli"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two images, and hidden folders of images at every level."""
    for name in ("ant/1.png", "ant/0.JPG", "bee/0.tif", "bee/1.png", ".old/0.png", "ant/.thumbs/0.png"):
        touch(tmp_path / "set" / name)
    return tmp_path / "set"


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def listed(root: Path, classes=("ant", "bee")):
    files, labels = list_images(root, classes)
    return list(zip(files, labels.tolist(), strict=True))


def found(root: Path):
    return [path.relative_to(root).as_posix() for path in find_images(root)]


def test_hidden_folders_are_ignored_without_warning(root: Path) -> None:
    assert list_classes(root) == ("ant", "bee")
    assert listed(root) == [("ant/0.JPG", 0), ("ant/1.png", 0), ("bee/0.tif", 1), ("bee/1.png", 1)]
    assert found(root) == ["ant/0.JPG", "ant/1.png", "bee/0.tif", "bee/1.png"]


def test_a_hidden_folder_above_is_no_obstacle(tmp_path: Path) -> None:
    touch(tmp_path / ".data" / "ant" / "0.png")
    assert listed(tmp_path / ".data") == [("ant/0.png", 0)]
    assert found(tmp_path / ".data") == ["ant/0.png"]


def test_one_warning_counts_and_names_what_is_skipped(root: Path) -> None:
    for name in ("readme.txt", "ant/notes.txt", "ant/._0.JPG", "bee/2.heic", "bee/more/3.png"):
        touch(root / name)
    with pytest.warns(UserWarning, match="skipped") as caught:
        assert len(listed(root)) == 4
    (warning,) = caught
    names = "readme.txt, ant/._0.JPG, ant/notes.txt, bee/2.heic, bee/more/"
    assert str(warning.message) == f"{root}: skipped 5 entries that are not images: {names}"
    with pytest.warns(UserWarning, match="skipped") as caught:
        assert len(found(root)) == 5  # at any depth
    (warning,) = caught
    names = "ant/._0.JPG, ant/notes.txt, bee/2.heic, readme.txt"
    assert str(warning.message) == f"{root}: skipped 4 entries that are not images: {names}"


def test_a_long_list_of_skipped_files_is_cut(root: Path) -> None:
    for k in range(9):
        touch(root / "ant" / f"{k}.json")
    expected = r"skipped 9 entries .*: ant/0.json, ant/1.json, ant/2.json, ant/3.json, ant/4.json and 4 more$"
    for read in (listed, found):
        with pytest.warns(UserWarning, match=expected):
            read(root)


def test_both_unicode_forms_are_one_class(tmp_path: Path) -> None:
    touch(tmp_path / "train" / COMPOSED / "0.png")
    touch(tmp_path / "train" / "zebra" / "0.png")
    touch(tmp_path / "test" / DECOMPOSED / "0.png")
    classes = list_classes(tmp_path / "train")
    assert classes == (COMPOSED, "zebra")
    assert list_classes(tmp_path / "test") == (COMPOSED,)
    ((file, label),) = listed(tmp_path / "test", classes)
    assert label == 0
    assert (tmp_path / "test" / file).is_file()


def test_labels_do_not_depend_on_the_unicode_form(tmp_path: Path) -> None:
    for form in (COMPOSED, DECOMPOSED):
        for name in (form, "mzz"):  # decomposed it would come before mzz, composed after it
            touch(tmp_path / form / name / "0.png")
    assert list_classes(tmp_path / COMPOSED) == list_classes(tmp_path / DECOMPOSED) == ("mzz", COMPOSED)


def test_two_forms_of_a_name_in_one_folder_raise(tmp_path: Path) -> None:
    for name in (COMPOSED, DECOMPOSED):
        touch(tmp_path / name / "0.png")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system has one form of names")
    with pytest.raises(ConfigurationError, match=rf"got two folders '{COMPOSED}' in different Unicode forms"):
        list_classes(tmp_path)


def test_a_class_may_be_missing_and_none_may_be_added(root: Path) -> None:
    assert [label for _, label in listed(root, ("aaa", "ant", "bee"))] == [1, 1, 2, 2]
    with pytest.raises(ConfigurationError, match="bee: not a class, expected the class names"):
        list_images(root, ("ant",))


def test_nothing_to_read(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere: cannot be read"):
        list_classes(tmp_path / "nowhere")
    touch(tmp_path / "empty" / ".hidden" / "0.png")
    with pytest.raises(ConfigurationError, match="empty: got no class folders"):
        list_classes(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="empty: got no images"):
        find_images(tmp_path / "empty")
    touch(root / "cat" / "0.txt")
    with pytest.raises(ConfigurationError, match="cat: got no images"):
        list_images(root, ("ant", "bee", "cat"))


def test_linked_folders_do_not_lead_in_circles(root: Path) -> None:
    (root / "ant" / "loop").symlink_to(root)
    with pytest.warns(UserWarning, match="skipped 1 entry that is not an image: ant/loop"):
        assert len(found(root)) == 4


def test_linked_class_folders_and_images_are_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ant").symlink_to(root / "ant")
    (tmp_path / "linked" / "bee").mkdir()
    (tmp_path / "linked" / "bee" / "5.tif").symlink_to(root / "bee" / "0.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert listed(tmp_path / "linked") == [("ant/0.JPG", 0), ("ant/1.png", 0), ("bee/5.tif", 1)]
