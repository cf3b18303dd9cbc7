"""Lists of image files with their classes, by folder and by text file."""

import pytest
from tests.data.pictures import write_classes, write_picture

from onelip.data import DataError
from onelip.data.class_folders import check_count, files_by_folder, files_by_list

CLASSES = ("n1", "n2")


@pytest.mark.parametrize("inner", ["", "images"])
def test_files_follow_the_order_of_classes(tmp_path, inner):
    write_classes(tmp_path, ("n2", "n1"), 2, inner=inner)
    seen = []
    files, labels = files_by_folder(tmp_path, CLASSES, inner=inner, progress=lambda *done: seen.append(done))
    middle = f"{inner}/" if inner else ""
    assert files == [f"{name}/{middle}{name}_{i}.JPEG" for name in CLASSES for i in range(2)]
    assert labels.tolist() == [0, 0, 1, 1]
    assert seen == [(1, 2), (2, 2)]


def test_folders_of_other_classes_and_empty_ones_are_refused(tmp_path):
    write_classes(tmp_path, ("n1", "n3"), 1)
    with pytest.raises(DataError, match=r"n3 is a folder of no class; the classes begin n1, n2"):
        files_by_folder(tmp_path, CLASSES)
    with pytest.raises(DataError, match=r"n2 holds no image"):
        files_by_folder(tmp_path, ("n1", "n2", "n3"))
    assert files_by_folder(tmp_path, ("n1", "n2", "n3"), required=False)[1].tolist() == [0, 2]
    with pytest.raises(DataError, match=r"nowhere is missing; it should hold a folder for each of 2 classes"):
        files_by_folder(tmp_path / "nowhere", CLASSES)


@pytest.mark.parametrize(
    "text",
    [
        "b.JPEG\tn2\t0\t0\t63\t63\na.JPEG\tn1\t0\t0\t1\t1\n",
        "ImageId,PredictionString\nb,n2 1 2 3 4 n2 1 1 1 1\na,n1 0 0 5 5\n",
        "b n2\n\na n1",
    ],
)
def test_a_list_names_files_and_classes(tmp_path, text):
    write_picture(tmp_path / "a.JPEG")
    write_picture(tmp_path / "b.JPEG")
    (tmp_path / "list.txt").write_text(text)
    files, labels = files_by_list(tmp_path / "list.txt", tmp_path, CLASSES)
    assert files == ["b.JPEG", "a.JPEG"]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a.JPEG n1\nz.JPEG n1", r"line 2 of .*list.txt names 'z.JPEG', which is no image in"),
        ("a.JPEG n9", r"line 1 of .*list.txt names no class of 2, such as n1"),
        ("a.JPEG", r"line 1 of .*list.txt names no class of 2"),
        ("a.JPEG n1\na.JPEG n2", r"line 2 of .*list.txt names a.JPEG again"),
    ],
)
def test_lines_that_do_not_fit_are_named(tmp_path, text, sentence):
    write_picture(tmp_path / "a.JPEG")
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        files_by_list(tmp_path / "list.txt", tmp_path, CLASSES)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_list_that_is_no_text_is_refused(tmp_path, content):
    write_picture(tmp_path / "a.JPEG")
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"list.txt cannot be read as a text file"):
        files_by_list(tmp_path / "list.txt", tmp_path, CLASSES)


def test_a_wrong_count_is_refused():
    check_count("images in train", 3, 3)
    with pytest.raises(DataError, match=r"1,999 images in train, expected 2,000; the data set is not complete"):
        check_count("images in train", 1999, 2000)
