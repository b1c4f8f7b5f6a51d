"""An optimizer step that does not count as a training step."""

from __future__ import annotations

from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure


def uncounted_step(optimizer: LightningOptimizer) -> None:
    """Step a player whose updates are not what ``max_steps`` counts.

    Lightning advances ``global_step`` once an optimizer; with two players ``max_steps=100`` would mean 50
    updates of each, and every logged step would be doubled. The manual loop installs its counters on the
    optimizers before each batch, so taking them off here lasts for this step alone.
    """
    optimizer._on_before_step = do_nothing_closure
    optimizer._on_after_step = do_nothing_closure
    optimizer.step()
