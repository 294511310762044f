"""scikit-learn's own files: read as they are, and each verdict on separability as a linear programme's."""

from __future__ import annotations

import pytest
from tools import shipped_tables

WANTED = {
    ("sklearn/iris.csv", "virginica"): (150, 4, "1 of 3 classes separable"),
    ("sklearn/iris.csv without its first line", "5"): (150, 4, "1 of 3 classes separable"),
    ("sklearn/breast_cancer.csv without its first line", "31"): (569, 30, "separable"),
    ("sklearn/wine_data.csv without its first line", "14"): (178, 13, "3 of 3 classes separable"),
    ("sklearn/diabetes_data_raw.csv.gz", "2"): (442, 9, "not separable"),
    ("sklearn/linnerud_physiological.csv", "Waist"): (20, 2, "3 of 9 classes separable"),
}
REFUSED = {
    "sklearn/breast_cancer.csv": "must have 4 fields in every row, got 31 in row 1",
    "sklearn/wine_data.csv": "must have 5 fields in every row, got 14 in row 1",
    "sklearn/diabetes_target.csv.gz": "must have two columns at least",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    tables = shipped_tables.shipped(["sklearn"], tmp_path_factory.mktemp("tables"))
    few = (table for table in tables if "digits" not in table.name)  # a minute
    return [verdict for table in few for verdict in shipped_tables.verdicts(table, 50_000)]


def test_every_verdict_agrees_with_the_linear_programme(found):
    compared = {(v.table, v.label): v for v in found if v.agrees is not None}
    assert all(v.agrees for v in compared.values())
    for (table, label), wanted in WANTED.items():
        v = compared[table, label]
        assert (v.rows, v.features, v.verdict) == wanted


def test_refusals_say_why(found):
    refused = {v.table: v.verdict for v in found if v.verdict.startswith("refused")}
    assert refused.keys() == REFUSED.keys()
    for table, reason in REFUSED.items():
        assert reason in refused[table]
    assert "| sklearn/wine_data.csv |" in shipped_tables.page(found, 50_000)


def test_a_wrong_verdict_is_seen(monkeypatch, tmp_path):
    (table,) = (t for t in shipped_tables.shipped(["sklearn"], tmp_path) if t.name == "sklearn/iris.csv")
    monkeypatch.setattr(shipped_tables, "separable", lambda X, y: True)
    (verdict,) = shipped_tables.verdicts(table, 50_000)
    assert verdict.agrees is False
    assert "DISAGREES" in shipped_tables.table_of([verdict])
