from __future__ import annotations

import numpy as np
import pytest

from ganmc_lightning.tabular.export import ensemble_probes
from ganmc_lightning.tabular.export.boosting import flatten_boosting
from ganmc_lightning.tabular.export.ensemble_probes import DRAWN, probe_ensemble
from ganmc_lightning.tabular.export.probes import SPECIAL

NUMBERS = ["binary", "multiclass", "regression"]
"""Kinds of the fixture without categories."""


def visits(ensemble, rows):
    """Return which of the samples reach each inner node, bool (nodes, N)."""
    found = np.zeros((len(ensemble.features), len(rows)), dtype=bool)
    for root in ensemble.roots[ensemble.roots >= 0]:
        found[root] = True
    for node in range(len(found)):  # parents precede their children
        value = rows[:, ensemble.features[node]]
        left = np.where(np.isnan(value), ensemble.missing_left[node], value <= ensemble.thresholds[node])
        for child, taken in ((ensemble.left[node], left), (ensemble.right[node], ~left)):
            if child >= 0:
                assert child > node
                found[child] = found[node] & taken
    return found


@pytest.mark.parametrize("kind", NUMBERS)
def test_every_threshold_is_reached_from_both_sides(kind, boosted_kinds):
    ensemble = flatten_boosting(boosted_kinds[kind]())
    rows = probe_ensemble(ensemble, SPECIAL, np.float64)
    for node, reached in enumerate(visits(ensemble, rows)):
        values = rows[reached, ensemble.features[node]]
        threshold = ensemble.thresholds[node]
        if np.isfinite(threshold):
            assert {threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)} <= set(values)


def test_each_node_has_a_background_of_its_own(boosted_kinds, monkeypatch):
    ensemble = flatten_boosting(boosted_kinds["nine classes"]())
    used, drawn = [], []
    at, background = ensemble_probes._Probes.at, ensemble_probes._Probes.background
    monkeypatch.setattr(ensemble_probes._Probes, "at", lambda self, *given: used.append(given) or at(self, *given))
    monkeypatch.setattr(ensemble_probes._Probes, "background", lambda self: drawn.append(background(self)) or drawn[-1])
    probe_ensemble(ensemble, SPECIAL, np.float64)
    nodes, samples = zip(*used, strict=True)
    assert sorted(nodes) == list(range(len(ensemble.features)))
    assert len(np.unique(samples, axis=0)) == len(nodes) > DRAWN
    assert len(drawn) == 1 + np.ceil(len(nodes) / DRAWN)  # in blocks, as each draws every column
