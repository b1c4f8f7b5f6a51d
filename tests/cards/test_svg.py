from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ganmc_lightning.cards.svg import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Point, Scale, Series, scatter_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_scatter_is_xml_with_a_mark_per_point():
    series = [
        Series("a", [Point(10, 0.5, "<first>"), Point(1000, 0.9, "second")], 0, line=True),
        Series("b", [Point(100, 0.7, "third")], 1),
    ]
    root = ElementTree.fromstring(scatter_svg("A & B", ("n", "score"), series, log_x=True))
    circles = root.findall(f"{NAMESPACE}circle")
    assert [circle.find(f"{NAMESPACE}title").text for circle in circles] == ["<first>", "second", "third"]
    assert len(root.findall(f"{NAMESPACE}polyline")) == 1
    x = [float(circle.get("cx")) for circle in circles]
    assert x[2] == pytest.approx((x[0] + x[1]) / 2, abs=0.1)  # 100 is the middle of a logarithmic axis


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0.81, 0.95, 0, 1), [0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94]),
        (Scale(3, 300, 0, 1, log=True), [5, 10, 20, 50, 100, 200]),
        (Scale(1, 1e6, 0, 1, log=True), [1, 10, 100, 1000, 1e4, 1e5, 1e6]),
    ],
)
def test_ticks(scale, ticks):
    assert scale.ticks() == pytest.approx(ticks)


@pytest.mark.parametrize("values", [[269_722], [1], [100], [110, 190]])
def test_a_narrow_logarithmic_axis_has_ticks(values):
    series = [Series("a", [Point(value, 0.5, "p") for value in values], 0)]
    root = ElementTree.fromstring(scatter_svg("one", ("parameters", "accuracy"), series, log_x=True))
    ticks = [text for text in root.findall(f"{NAMESPACE}text") if text.get("y") == str(HEIGHT - BOTTOM + 16)]
    assert len(ticks) >= 2
    assert all(LEFT < float(circle.get("cx")) < WIDTH - RIGHT for circle in root.findall(f"{NAMESPACE}circle"))


def test_one_point_has_a_scale():
    assert "<circle" in scatter_svg("one", ("x", "y"), [Series("a", [Point(5, 5, "p")], 0)])
