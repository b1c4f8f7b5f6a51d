"""The page and the JSON file of a classifier's card."""

from __future__ import annotations

import json
import re

import pytest
import torch

from ganmc_lightning.cards import ClassifierResult, make_classifier_card
from ganmc_lightning.exceptions import ConfigurationError


@pytest.fixture(scope="module")
def text(card):
    return card.render()


class TestPage:
    def test_is_one_file_without_scripts_or_external_files(self, text, parse_page):
        page = parse_page(text)
        assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
        assert all(image["src"].startswith("data:image/png;base64,") for image in page.find("img"))
        assert not re.search(r"\b(href|srcset|@import)\b|url\(", text)
        assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}  # a namespace

    def test_names_are_escaped(self, text):
        for name in ("<b>dog", "<student>", "<run>", "<note>"):
            assert name not in text
            assert name.replace("<", "&lt;").replace(">", "&gt;") in text

    def test_is_accessible(self, text, parse_page):
        page = parse_page(text)
        images, plots, headers = page.find("img"), page.find("svg"), page.find("th")
        assert images
        assert all(image["alt"] for image in images)
        assert len(plots) == 2
        assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
        assert all(header["scope"] in ("col", "row") for header in headers)
        assert all("data-label" in cell for cell in page.find("td"))  # headings on a narrow screen
        assert "prefers-color-scheme: dark" in text
        assert 'name="viewport"' in text

    def test_begins_with_the_conclusion(self, text, card):
        body = text[text.index("<main>") :]
        assert body.index("The student keeps") < body.index("<table>")

    def test_shows_misclassified_images_of_the_worst_classes(self, card):
        assert 1 <= len(card.examples) <= 3
        assert card.examples[0].name == card.classes[0].name
        for group in card.examples:
            assert 1 <= len(group.images) <= 6
            assert all(image.predicted != group.name for image in group.images)
            assert len({image.uri for image in group.images}) == 1  # the class is the gray level

    def test_classes_are_ordered_by_change(self, card):
        changes = [item.change for item in card.classes]
        assert changes == sorted(changes)


class TestJson:
    def test_has_all_numbers(self, card, tmp_path):
        path = card.write(tmp_path / "out")
        assert path == tmp_path / "out" / "card.html"
        content = json.loads((tmp_path / "out" / "card.json").read_text(), parse_constant=pytest.fail)
        assert {model["role"]: model["accuracy"]["value"] for model in content["models"]} == {
            model.role: model.accuracy.value for model in card.models
        }
        assert content["conclusion"]["text"] == card.conclusion.text
        assert content["classes"][0]["change"] == card.classes[0].change
        assert content["files"][0]["max_difference"] == 1e-6
        assert content["models"][0]["latency"] == {"1": 0.001, "64": 0.002}
        assert content["seed"] == 3
        assert "examples" not in content

    def test_an_unwritable_folder_is_an_error(self, card, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigurationError, match=r"card\.(json|html): cannot be written"):
            card.write(tmp_path / "file")


def test_conclusions_name_the_baseline_first(results, labels):
    teacher, student, baseline = (
        next(result for result in results if result.role == role) for role in ("teacher", "student", "baseline")
    )
    better = make_classifier_card(results, labels).conclusion
    assert better.text.startswith("The student keeps")
    assert "It beats the baseline <baseline>: student minus baseline +" in better.text
    assert not better.warning
    equal = make_classifier_card([teacher, student, baseline._replace(logits=student.logits + 1)], labels).conclusion
    assert equal.text.startswith("The student does not differ measurably from the baseline <baseline>")
    assert equal.warning
    worse = make_classifier_card([teacher, student, baseline._replace(logits=teacher.logits)], labels).conclusion
    assert worse.text.startswith("The baseline <baseline> beats the student: student minus baseline -")
    assert worse.warning


def test_a_student_above_its_teacher(results, labels):
    teacher, student = (next(each for each in results if each.role == role) for role in ("teacher", "student"))
    exchanged = [teacher._replace(logits=student.logits), student._replace(logits=teacher.logits, parameters=18_000)]
    text = make_classifier_card(exchanged, labels).conclusion.text
    assert "% accuracy, the teacher" in text
    assert "with 2 times the parameters (+" in text


def test_without_teacher(make_result, labels, parse_page):
    card = make_classifier_card([make_result("net", "student", labels)], labels, ["a", "b", "c"])
    assert re.match(r"net classifies \d\d\.\d\d % of 400 test samples correctly", card.conclusion.text)
    text = card.render()
    parse_page(text)
    body = text[text.index("<main>") :]
    assert "teacher" not in body.lower()
    assert "Classes with the lowest accuracy" in body
    assert "Without temperature: net" in body
    assert [item.student for item in card.classes] == sorted(item.student for item in card.classes)


def test_one_class_without_errors(parse_page):
    labels = torch.zeros(5, dtype=torch.int64)
    results = [ClassifierResult(name, name, torch.ones(5, 1), 0) for name in ("teacher", "student")]
    card = make_classifier_card(results, labels, images=torch.zeros(5, 1, 4, 4, dtype=torch.uint8))
    assert card.student.accuracy == (1, 1, 1)
    assert card.confusions == card.examples == ()
    text = card.render()
    parse_page(text)
    assert "the error rate is below 60.00 %" in text


def test_only_the_worst_of_a_thousand_classes_are_listed(make_result, parse_page):
    labels = torch.randint(1000, (3000,), generator=torch.Generator().manual_seed(0))
    results = [make_result(role, role, labels, num_classes=1000) for role in ("teacher", "student")]
    card = make_classifier_card(results, labels, [f"class {code}" for code in range(1000)])
    text = card.render()
    parse_page(text)
    assert len(text) < 60_000
    assert len(card.classes) == len(labels.unique())
    assert text.count('<th scope="row">class ') == 20  # ten classes and ten confusions
    assert f"10 of {len(card.classes)} classes with test samples" in text
    assert len(card.to_dict()["confusions"]) == len(card.confusions) > 10


def with_logits(results, logits):
    return [results[0], results[1]._replace(logits=logits), results[2]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r, y: (r[:1], y, ()), "got 0 teachers and 0 students"),
        (lambda r, y: ([r[1], r[2], r[2]._replace(name="b")], y, ()), "got 2 teachers and 1 students"),
        (lambda r, y: ([r[1]._replace(role="other")], y, ()), "got role 'other', expected teacher"),
        (lambda r, y: ([r[1], r[2]._replace(name=r[1].name)], y, ()), "expected unique names"),
        (lambda r, y: (r, y, ["a"]), "class_names: got 1 names, expected 3"),
        (lambda r, y: (r, y[:5], ()), r"<baseline>: logits: got shape \(400, 3\), expected \(5, 3\)"),
        (lambda r, y: (with_logits(r, r[1].logits[:, :2]), y, ()), r"<student>: logits: got shape \(400, 2\)"),
        (lambda r, y: (with_logits(r, r[1].logits / 0), y, ()), "values that are not finite"),
        (lambda r, y: (r, y - 1, ()), "got labels from -1 to 1, expected 0 to 2"),
        (lambda r, y: ([r[1]._replace(val_labels=None)], y, ()), "val_logits without val_labels"),
        (lambda r, y: ([r[1]._replace(val_labels=y[:5])], y, ()), r"val_logits: got shape \(400, 3\)"),
    ],
)
def test_invalid_results_are_refused(results, labels, change, words):
    with pytest.raises(ConfigurationError, match=words):
        make_classifier_card(*change(results, labels))


@pytest.mark.parametrize(
    "images",
    [torch.zeros(400, 3, 8, 8), torch.zeros(5, 3, 8, 8, dtype=torch.uint8), torch.zeros(400, 2, 8, 8).byte()],
)
def test_invalid_images_are_refused(results, labels, images):
    with pytest.raises(ConfigurationError, match=r"images: got torch\.\w+ \(\d+, \d, 8, 8\), expected torch\.uint8"):
        make_classifier_card(results, labels, images=images)
