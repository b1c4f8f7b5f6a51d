"""A card of random logits, and a parser that checks the nesting of tags."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
import torch

from ganmc_lightning.cards import CardFile, ClassifierCard, ClassifierResult, make_classifier_card

NAMES = ["cat", "<b>dog</b>", "bird"]


class Page(HTMLParser):
    """Collects tags and attributes, and checks that tags are closed in order."""

    VOID = ("meta", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


ROLES = {"teacher": (3.0, 9000), "student": (2.0, 900), "baseline": (1.0, 900)}
"""Strength of the signal in the logits, and parameters."""


@pytest.fixture(scope="session")
def parse_page():
    return Page


@pytest.fixture(scope="session")
def make_result():
    """Return a factory of results with random logits that are better for a teacher than for a student."""

    def make(name: str, role: str, labels: torch.Tensor, num_classes: int = 3, **arguments) -> ClassifierResult:
        strength, parameters = ROLES[role]
        noise = torch.randn(len(labels), num_classes, generator=torch.Generator().manual_seed(parameters + len(role)))
        logits = noise + strength * torch.nn.functional.one_hot(labels, num_classes)
        return ClassifierResult(name, role, logits, parameters, **arguments)

    return make


@pytest.fixture(scope="session")
def labels() -> torch.Tensor:
    return torch.randint(3, (400,), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def results(labels, make_result) -> list[ClassifierResult]:
    """A teacher, a student and a weaker baseline; validation samples are others of the same distribution."""
    val_labels = labels.flip(0)
    found = []
    for role in ("baseline", "student", "teacher"):
        val = {"val_logits": make_result("val", role, val_labels).logits, "val_labels": val_labels}
        costs = {"flops": 2000, "bytes": 4000, "latency": {1: 0.001, 64: 0.002}}
        found.append(make_result(f"<{role}>", role, labels, **costs, **val))
    return found


@pytest.fixture(scope="session")
def card(results, labels) -> ClassifierCard:
    """The card of the results, with images of which the class is the gray level."""
    images = (labels[:, None, None, None] * 100).expand(-1, 3, 8, 8).to(torch.uint8)
    files = [CardFile("<student>.onnx", "onnx", 4100, 1e-6, {1: 0.0005})]
    return make_classifier_card(
        results,
        labels,
        NAMES,
        command="ganmc card <run>",
        seed=3,
        environment={"python": "3"},
        files=files,
        images=images,
        notes=["a <note>"],
    )
