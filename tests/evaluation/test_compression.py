from __future__ import annotations

import pytest
import torch

from ganmc_lightning.evaluation import make_compression_scores, make_student_factory
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import compression_score
from ganmc_lightning.metrics.extractors import load_classifier
from ganmc_lightning.networks import LeNet4, MLPClassifier
from ganmc_lightning.networks.training_data import set_training_data


class Factory:
    """Create students and count them."""

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return MLPClassifier(64, 3, hidden=(8,))


@pytest.fixture
def teacher():
    return MLPClassifier(64, 3, hidden=(16,))


def test_students_of_the_real_samples_are_trained_once(data, teacher):
    factory = Factory()
    real, held_out = data.samples("train")[0], data.samples("test")
    settings = {"seeds": (0, 1), "batch_size": 16, "learning_rate": 0.01}
    scores = make_compression_scores(data, teacher, factory, held_out_split="test", variants=("1_epoch",), **settings)
    metric = scores["compression_score_1_epoch"]
    noise = torch.randint(256, (30, 1, 8, 8), dtype=torch.uint8)
    before = factory.made
    metric.update(noise, real=False)
    first = metric.compute()
    assert factory.made - before == 4
    metric.reset_generated()
    metric.update(real, real=False)
    second = metric.compute()
    assert factory.made - before == 6
    expected = compression_score(noise, real, held_out, teacher=teacher, student=factory, variant="1_epoch", **settings)
    assert torch.equal(first.accuracies, expected.accuracies)
    assert torch.equal(second.accuracies, second.real_accuracies)


@pytest.mark.parametrize(
    ("text", "classifier_width"),
    [
        ("class_path: ganmc_lightning.networks.LeNet4\ninit_args: {widths: [2, 3, 5]}", 5),
        ("model: {init_args: {student: {class_path: LeNet4, init_args: {widths: [2, 3, 7]}}, network: LeNet}}", 7),
        ("model: {init_args: {network: LeNet4}}", 120),
    ],
)
def test_a_student_out_of_a_file(text, classifier_width, tmp_path):
    file = tmp_path / "student.yaml"
    file.write_text(text)
    make = make_student_factory(str(file))
    one, other = make(), make()
    assert isinstance(one, LeNet4)
    assert one.classifier.in_features == classifier_width
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


def test_a_student_by_its_class():
    for name in ("LeNet4", "ganmc_lightning.networks.LeNet4"):
        assert isinstance(make_student_factory(name)(), LeNet4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LeNet44", "networks.LeNet44 does not exist in the installed"),
        ("no_such_module.Net", "module 'no_such_module' cannot be imported"),
        ("ganmc_lightning.evaluation.GeneratorEvaluator", "not a network"),
        ("absent.yaml", "absent.yaml: file not found"),
        ("empty.yaml", "empty.yaml: expected class_path, model.init_args.student or model.init_args.network"),
        ("wrong.yaml", "LeNet4"),
    ],
)
def test_no_student(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.yaml").write_text("model: {class_path: A}")
    (tmp_path / "wrong.yaml").write_text("class_path: LeNet4\ninit_args: {width: 3}")
    with pytest.raises(ConfigurationError, match=message):
        make_student_factory(text)


def test_networks_of_other_data_are_refused(data):
    with pytest.raises(ConfigurationError, match="--teacher"):
        make_compression_scores(data, MLPClassifier(64, 4), Factory(), held_out_split="test")
    with pytest.raises(ConfigurationError, match="--student"):
        make_compression_scores(data, MLPClassifier(64, 3), LeNet4, held_out_split="test")


def test_a_teacher_needs_a_classifier(tmp_path):
    torch.save({"state_dict": {"generator.weight": torch.zeros(1)}}, tmp_path / "gan.ckpt")
    with pytest.raises(ConfigurationError, match="expected a classifier"):
        load_classifier(str(tmp_path / "gan.ckpt"))


def test_a_teacher_of_other_classes_is_refused(data, teacher):
    set_training_data(teacher, data.spec._replace(class_names=("a", "b", "c")))
    data._data = data._loaded._replace(spec=data.spec._replace(class_names=("a", "c", "b")))
    with pytest.raises(ConfigurationError, match="--teacher: class 1 of its training data is"):
        make_compression_scores(data, teacher, Factory(), held_out_split="test")
