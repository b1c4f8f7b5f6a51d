from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier, TabularGenerator
from ganmc_lightning.tabular import DistilledClassifier, load_synthesizer, load_tabular_classifier

ROWS = torch.tensor([[1000.0, 0.01, 3.3], [1002.0, 0.05, 9.1], [1007.0, 0.02, 4.2], [1011.0, 0.09, 5.0]])
SCALER = RowScaler.fit(ROWS)


def save(folder, submodule, network, name, scaler=SCALER, **arguments):
    """Write the relevant content of a checkpoint of ``ganmc fit``."""
    weights = {f"{submodule}.{key}": value for key, value in network.state_dict().items()}
    recipe = {"class_path": f"ganmc_lightning.networks.{name}", "init_args": arguments}
    content = {"state_dict": weights, "hyper_parameters": {submodule: recipe}}
    if scaler is not None:
        content["GANAugmentedDataModule"] = {"step": 3, "scaler": scaler.state_dict()}
    torch.save(content, folder / "gan.ckpt")
    return str(folder / "gan.ckpt")


@pytest.fixture
def gan(tmp_path):
    generator = TabularGenerator(3, 2)
    with torch.no_grad():  # only the class matters: class 0 is at the means, class 1 one standard deviation above
        generator.embedding.weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, 100))
        for parameter in generator.network.parameters():
            parameter.zero_()
    return generator, save(tmp_path, "generator", generator, "TabularGenerator", num_features=3)


def test_samples_are_in_the_units_of_the_data(gan):
    _, path = gan
    rows, labels = load_synthesizer(path).sample(2000)
    assert rows.shape == (2000, 3)
    expected = SCALER.inverse_transform(torch.zeros(1, 3)).numpy()
    np.testing.assert_allclose(rows, np.repeat(expected, 2000, axis=0), rtol=1e-5, atol=1e-6)
    assert 900 < labels.sum() < 1100


def test_a_model_seeds_the_generator(tmp_path):
    generator = TabularGenerator(3, 2)
    path = save(tmp_path, "generator", generator, "TabularGenerator", num_features=3)
    rng = np.random.default_rng(0)
    X = ROWS.numpy()[rng.integers(0, 4, 60)] * rng.normal(1, 0.01, (60, 3))
    y = rng.integers(0, 2, 60)
    synthesizer = load_synthesizer(path)
    answers = []
    for seed in (1, 1, 2):
        torch.manual_seed(int(rng.integers(1000)))
        before = torch.random.get_rng_state()
        model = DistilledClassifier(
            RandomForestClassifier(5),
            RandomForestRegressor(1),
            synthesizer=synthesizer,
            synthetic_ratio=2,
            training_data="synthetic",
            random_state=seed,
        ).fit(X, y)
        assert torch.equal(torch.random.get_rng_state(), before)
        answers.append(model.predict_proba(X))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_a_trained_network_as_teacher(tmp_path):
    network = MLPClassifier(in_features=3, num_classes=4, hidden=(5,)).eval()
    arguments = {"in_features": 3, "num_classes": 4, "hidden": [5]}
    teacher = load_tabular_classifier(save(tmp_path, "network", network, "MLPClassifier", **arguments))
    X = np.repeat(ROWS.numpy(), 3, axis=0) * np.linspace(0.99, 1.01, 12)[:, None]
    with torch.no_grad():
        expected = network(SCALER.transform(torch.from_numpy(X))).softmax(1).numpy()
    np.testing.assert_allclose(teacher.predict_proba(X), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(teacher.predict(X), expected.argmax(axis=1))
    assert teacher.classes_.tolist() == [0, 1, 2, 3]
    model = DistilledClassifier(
        teacher, DecisionTreeRegressor(), teacher_labels="in_bag", label_weight=0, random_state=0
    ).fit(X, np.arange(12) % 2)
    assert model.predict_proba(X).shape == (12, 4)
    with pytest.raises(ConfigurationError, match="NetworkClassifier was fitted to 3 features, X has 2"):
        DistilledClassifier(teacher).fit(X[:, :2], np.arange(12) % 2)


def test_image_generators_are_rejected(tmp_path):
    arguments = {"image_size": 8, "channels": 1, "num_classes": 3, "latent_dim": 4, "width": 2}
    path = save(tmp_path, "generator", ACGANGenerator(**arguments), "ACGANGenerator", None, **arguments)
    with pytest.raises(ConfigurationError, match=r"generates samples of shape \(1, 8, 8\), expected shape"):
        load_synthesizer(path)


def test_a_missing_scaler(tmp_path):
    path = save(tmp_path, "generator", TabularGenerator(3, 2), "TabularGenerator", None, num_features=3)
    with pytest.raises(ConfigurationError, match="contains no scaler"):
        load_synthesizer(path)


def test_a_missing_file():
    with pytest.raises(ConfigurationError, match=r"missing\.ckpt: checkpoint not found"):
        load_synthesizer("missing.ckpt")


def damage(path, **fields):
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["GANAugmentedDataModule"]["scaler"].update(fields)
    torch.save(checkpoint, path)


def test_damaged_scalers(tmp_path, gan):
    _, path = gan
    damage(path, std=torch.ones(2))
    with pytest.raises(ConfigurationError, match="'GANAugmentedDataModule' is damaged"):
        load_synthesizer(path)
    network = MLPClassifier(in_features=3, num_classes=4, hidden=(5,))
    arguments = {"in_features": 3, "num_classes": 4, "hidden": [5]}
    path = save(tmp_path, "network", network, "MLPClassifier", **arguments)
    damage(path, mean=None)
    with pytest.raises(ConfigurationError, match="'GANAugmentedDataModule' is damaged"):
        load_tabular_classifier(path)


def test_a_scaler_of_other_columns_than_the_network(tmp_path):
    other = RowScaler.fit(ROWS[:, :2])
    path = save(tmp_path, "generator", TabularGenerator(3, 2), "TabularGenerator", other, num_features=3)
    with pytest.raises(ConfigurationError, match="got a scaler of 2 columns, expected 3"):
        load_synthesizer(path)
