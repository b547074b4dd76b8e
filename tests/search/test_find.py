"""A whole search in plain PyTorch, as in a user's own script."""

from __future__ import annotations

import copy
import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, default_collate

from ean_transfer import Ticket, TicketError, attach, connection_importance
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError, TrainingError
from ean_transfer.search.find import evaluate_masks, find_ticket
from ean_transfer.search.state_file import StateFile
from ean_transfer.supernet.training import FineTuning, SupernetTraining
from tests.attachment.networks import SE, Plain
from tests.helpers import ROOT


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = Plain()
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean(dim=(2, 3)))


def data(images: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (images,), generator=generator)
    pictures = torch.randn(images, 3, 12, 12, generator=generator)
    pictures[torch.arange(images), labels] += 0.7
    return TensorDataset(pictures, labels)


TRAIN = DataLoader(data(48, 0), batch_size=16, shuffle=True)
VAL = DataLoader(data(40, 1), batch_size=20)


def find(model=None, **options):
    options = dict(attention=SE, loss=F.cross_entropy, epochs=2, masks=12, verbose=False) | options
    return find_ticket(Classifier() if model is None else model, TRAIN, VAL, **options)


@pytest.fixture(scope="module")
def unstopped():
    """The result of a search that nothing stops. To be read only."""
    return find()


def facts(result) -> dict:
    return result.ticket.provenance["confirmed"]


def test_ten_lines_give_a_ticket_a_table_a_figure_and_a_network(tmp_path, capsys) -> None:
    model = Classifier()
    before = copy.deepcopy(model.state_dict())
    result = find(model, verbose=True)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert "none" in capsys.readouterr().out
    file = result.ticket.save(tmp_path / "ticket.json")
    assert Ticket.load(file) == result.ticket
    assert {"| ticket", "| none", "| full"} <= {
        line.split(" |")[0] for line in result.table().splitlines()
    }
    assert result.figure(tmp_path / "search.png").stat().st_size > 10_000
    images = torch.randn(2, 3, 12, 12)
    expected = model.eval()(images)
    assert result.apply(model) is model
    assert find_backbone(model).mask == result.ticket.mask or result.ticket.is_plain
    torch.testing.assert_close(model(images), expected)


def test_a_search_may_start_from_taylor_importance(monkeypatch) -> None:
    from ean_transfer.search.search import Search

    searches = []
    run = Search.run
    monkeypatch.setattr(Search, "run", lambda self, *a: searches.append(self) or run(self, *a))
    result = find(taylor_prior=True)
    (search,) = searches
    batches = search.evaluator.held_out
    expected = connection_importance(result.supernet, batches, F.cross_entropy)
    assert search.strategy.prior.tolist() == pytest.approx(expected, rel=1e-4)
    options = result.ticket.provenance["settings"]["strategy_options"]
    assert options == {"prior": "Taylor importance"}


def test_new_attention_learns_ten_times_as_fast(monkeypatch) -> None:
    seen = []

    def stop(self: SupernetTraining) -> None:
        seen.append({group["name"]: group["max_lr"] for group in self.optimizer.param_groups})
        raise KeyboardInterrupt

    monkeypatch.setattr(SupernetTraining, "_train_epoch", stop)
    for options in ({}, {"attention_lr": 0.5}):
        with pytest.raises(KeyboardInterrupt):
            find(lr=0.02, **options)
    assert seen == [{"network": 0.02, "attention": pytest.approx(rate)} for rate in (0.2, 0.5)]


def test_two_runs_agree_and_leave_the_programs_draws_alone(unstopped) -> None:
    model = Classifier()
    torch.manual_seed(5)
    again = find(model)
    drawn = torch.rand(1)
    assert facts(unstopped) == facts(again) and unstopped.ticket.mask == again.ticket.mask
    torch.manual_seed(5)
    assert torch.rand(1) == drawn
    assert facts(find(seed=1)) != facts(unstopped)


@pytest.mark.parametrize("stop", ["while the supernet trains", "while masks are scored"])
def test_a_stopped_search_continues_as_if_it_had_not_stopped(
    unstopped, tmp_path, monkeypatch, stop
) -> None:
    from ean_transfer.search.search import Search
    from ean_transfer.supernet.training import SupernetTraining

    kind, name = (SupernetTraining, "_train_epoch") if "trains" in stop else (Search, "_one_step")
    original, calls = getattr(kind, name), []

    def stopped(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(kind, name, stopped)
    with pytest.raises(KeyboardInterrupt):
        find(state=tmp_path / "search.pt")
    trained = len(calls)
    resumed = find(state=tmp_path / "search.pt")
    assert facts(resumed) == facts(unstopped)
    assert trained == 2 and resumed.ticket.id == unstopped.ticket.id
    with pytest.raises(ConfigError, match="started with epochs=2, it cannot continue with 3"):
        find(state=tmp_path / "search.pt", epochs=3)


def test_a_stopped_search_does_not_continue_at_other_places_of_the_same_kind(tmp_path) -> None:
    file, few = tmp_path / "search.pt", dict(epochs=1, masks=4)
    find(state=file, at=["body.layer1.0", "body.layer1.1"], **few)
    with pytest.raises(ConfigError, match=r"started with places=\['body.layer1.0', 'body"):
        find(state=file, at=["body.layer1.1", "body.layer1.2"], **few)


def test_a_stopped_search_does_not_continue_with_batches_of_another_size(tmp_path) -> None:
    options = dict(attention=SE, loss=F.cross_entropy, epochs=1, masks=4, verbose=False)
    options |= dict(state=tmp_path / "search.pt")
    find_ticket(Classifier(), TRAIN, VAL, **options)
    other = DataLoader(VAL.dataset, batch_size=8)
    with pytest.raises(
        ConfigError,
        match=r"search.pt: the search was started with batch_size=20, it cannot continue with 8: "
        "keep the setting, or give state another name",
    ):
        find_ticket(Classifier(), TRAIN, other, **options)
    # The schedule of the learning rate is that of the training that was stopped.
    other = DataLoader(TRAIN.dataset, batch_size=24)
    with pytest.raises(ConfigError, match="started with iterations=3, it cannot continue with 2"):
        find_ticket(Classifier(), other, VAL, **options)


def test_a_stopped_search_does_not_continue_with_another_network(tmp_path) -> None:
    file, few = tmp_path / "search.pt", dict(epochs=1, masks=4)
    find(state=file, **few)
    other, frozen = Classifier(), Classifier()
    other.head = nn.Linear(16, 4)
    frozen.head.requires_grad_(False)
    for model, found in ((other, "size mismatch for head.weight"), (frozen, "parameter group")):
        with pytest.raises(ConfigError, match=f"search.pt: .* another network .*{found}"):
            find(model, state=file, **few)


def test_a_search_that_kept_fewer_settings_continues(tmp_path) -> None:
    model = attach(Classifier(), SE, at=["body.layer1.*"], example=next(iter(VAL))[0])
    training = SupernetTraining(model, TRAIN, F.cross_entropy, FineTuning(epochs=1))
    file = tmp_path / "search.pt"
    (empty := tmp_path / "search").mkdir()
    StateFile(file, empty, {"seed": 0}).save(training)
    StateFile(file, empty, {"seed": 0, "places": []}).resume(training)
    with pytest.raises(ConfigError, match="started with seed=0, it cannot continue with 1"):
        StateFile(file, empty, {"seed": 1}).resume(training)


def test_masks_are_compared_by_any_function_of_the_network() -> None:
    def per_image(network):
        network.eval()
        with torch.no_grad():
            return torch.cat([(network(x).argmax(1) == y).float() for x, y in VAL])

    with pytest.raises(ConfigError, match="taylor_prior needs a loss"):
        find(score=per_image, taylor_prior=True)
    paired = find(score=per_image)
    assert paired.search.verdict.quality == "score"
    gain = paired.search.verdict.masks["ticket"].over["none"]["score"]
    assert gain.standard_error is not None
    # A score may be a share of one, where a hundredth is much.
    assert re.search(r"\| [+-]\d\.\d{4} ± \d\.\d{4} \|", paired.table())
    single = find(score=lambda network: float(per_image(network).mean()))
    assert single.ticket.mask == paired.ticket.mask
    with pytest.raises(ConfigError, match="found NaN"):
        find(score=lambda network: float("nan"))
    lengths = iter(range(3, 100))
    with pytest.raises(ConfigError, match="expected scores of 3 images.*found 4"):
        find(score=lambda network: torch.rand(next(lengths)))
    with pytest.raises(ConfigError, match="expected a number or a tensor.*found str"):
        find(score=lambda network: "good")


def test_budgets_are_kept_or_refused_before_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert find(constraint="connections = 2").ticket.connected == 2
    monkeypatch.setattr(SupernetTraining, "__iter__", None)
    for constraint in ("connections = 9", "params <= -1", "macs <= -1"):
        with pytest.raises(ConfigError, match=f"no mask satisfies {constraint[:4]}"):
            find(constraint=constraint)


def test_a_high_score_of_ones_own_is_good() -> None:
    def connected(network) -> float:
        return float(sum(find_backbone(network).mask))

    assert find(score=connected, epochs=1).ticket.sparsity == 0.0
    assert find(score=lambda network: -connected(network), epochs=1).ticket.connected == 0


@pytest.mark.parametrize("kind", [list, tuple])
def test_inputs_may_be_a_list_or_a_tuple(kind) -> None:
    class Two(Classifier):
        def forward(self, images):
            return super().forward(images[0] + images[1])

    def halves(batch):
        images, labels = default_collate(batch)
        return kind([0.5 * images, 0.5 * images]), labels

    train, val = (DataLoader(one.dataset, 20, collate_fn=halves) for one in (TRAIN, VAL))
    options = dict(attention=SE, loss=F.cross_entropy, epochs=1, masks=4, verbose=False)
    options |= dict(constraint="latency <= 9 x plain", at="body.layer1.*")
    result = find_ticket(Two(), train, val, **options)
    assert result.search.verdict.images == 40
    assert result.apply(Two()).ticket.mask == result.ticket.mask
    assert result.apply(Two().to("meta")).ticket.mask == result.ticket.mask  # on another device


def test_a_network_may_have_layers_of_other_dimensions() -> None:
    class Clips(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv3d(3, 3, 3, padding=1)

        def forward(self, images):
            return super().forward(self.stem(images.unsqueeze(2)).mean(dim=2))

    supernet = find(Clips(), epochs=1, masks=4).supernet
    layout = supernet.body.layer1[0].conv1.weight
    assert layout.is_contiguous(memory_format=torch.channels_last)


def test_what_is_wrong_is_said_in_one_line() -> None:
    with pytest.raises(TrainingError, match="loss is nan in epoch 1"):
        find(loss=lambda outputs, targets: outputs.sum() * float("nan"))
    with pytest.raises(ConfigError, match="expected batches of inputs and targets"):
        find_ticket(
            Classifier(),
            TRAIN,
            [torch.zeros(1)],
            attention=SE,
            loss=F.cross_entropy,
            constraint="params <= 100",
            at="body.layer1.*",
        )


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none"), "Tensor"),
        (lambda outputs, targets: {"loss": F.cross_entropy(outputs, targets)}, "dict"),
        (lambda outputs, targets: F.cross_entropy(outputs, targets).detach(), "without a gradient"),
    ],
)
def test_a_loss_that_cannot_train_is_refused(loss, found) -> None:
    with pytest.raises(ConfigError, match=f"the loss: .*found .*{found}"):
        find(loss=loss)


def test_batches_that_can_be_read_only_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="can be read again.*found generator"):
        find_ticket(Classifier(), TRAIN, (b for b in VAL), attention=SE, loss=F.cross_entropy)


def test_a_frozen_network_trains_its_attention_alone() -> None:
    frozen = Classifier().requires_grad_(False)
    trained = find(frozen, probability=0.2).supernet  # two of six masks have no connection
    before = find(frozen, probability=0.2, lr=1e-12).supernet
    for (name, one), other in zip(trained.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(one, other) != name.startswith("attention.")


def test_masks_of_a_supernet_are_evaluated_alone(unstopped) -> None:
    none, full = (False,) * 5, (True,) * 5
    outcomes = evaluate_masks(unstopped.supernet, VAL, [none, full], F.cross_entropy)
    for mask, bits in ((none, "00000"), (full, "11111")):
        assert round(outcomes[mask].score.loss, 4) == round(facts(unstopped)[bits]["loss"], 4)
    with pytest.raises(TicketError, match="expected one truth value per block, found the text"):
        evaluate_masks(unstopped.supernet, VAL, ["10110"], F.cross_entropy)


def test_a_network_without_batchnorm_may_be_scored_in_batches_of_one_image() -> None:
    model = Classifier()
    model.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.ReLU())
    attach(model, SE, at="body.1", example=VAL.dataset[:1][0])
    alone, together = (
        evaluate_masks(model, DataLoader(VAL.dataset, size), [(True,)], F.cross_entropy)[(True,)]
        for size in (1, 20)
    )
    assert alone.score.loss == pytest.approx(together.score.loss, rel=1e-5)


def test_an_image_whose_targets_are_all_ignored_has_no_loss(unstopped) -> None:
    images, labels = VAL.dataset.tensors
    ignored = TensorDataset(images, labels.where(torch.arange(40) != 7, -100))
    with pytest.raises(ConfigError, match="found NaN on 1 of 40 images.*does not ignore"):
        evaluate_masks(unstopped.supernet, DataLoader(ignored, 20), [(True,) * 5], F.cross_entropy)


def test_inference_mode_changes_no_score(unstopped) -> None:
    masks = [(False,) * 5, (True,) * 5]
    outcomes = evaluate_masks(unstopped.supernet, VAL, masks, F.cross_entropy)
    slopes = connection_importance(unstopped.supernet, VAL, F.cross_entropy)
    with torch.inference_mode():
        again = evaluate_masks(unstopped.supernet, VAL, masks, F.cross_entropy)
        assert connection_importance(unstopped.supernet, VAL, F.cross_entropy) == slopes
    assert all(again[mask].score == outcomes[mask].score for mask in masks)


_ALONE = """
import sys
for name in ("mmcv", "mmpretrain", "mmseg"):
    sys.modules[name] = None
import timm, torch
from torch.nn import functional as F
import ean_transfer
torch.manual_seed(0)
model = timm.create_model("test_resnet", num_classes=3, zero_init_last=False)
images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 3
loader = [(images[:8], labels[:8]), (images[8:], labels[8:])]
result = ean_transfer.find_ticket(
    model, loader, loader, attention="ECA", loss=F.cross_entropy,
    constraint="params <= full", epochs=1, masks=4,
)
result.ticket.save(sys.argv[1])
result.apply(model)
"""


def test_it_runs_without_openmmlabs_other_packages(tmp_path) -> None:
    file = tmp_path / "ticket.json"
    ended = subprocess.run(
        [sys.executable, "-c", _ALONE, file], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert Ticket.load(file).attention == "ECA"
