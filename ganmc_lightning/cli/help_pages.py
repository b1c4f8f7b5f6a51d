"""Short help pages of the commands whose options are configuration keys, printed without importing PyTorch."""

from __future__ import annotations

_CONFIG = """\
  --config FILE          YAML configuration; repeatable, later files override
                         earlier ones
"""
_END = """
Every key of the configuration is also an option with the same dotted name. An
option overrides the files. `ganmc {command} --help full` lists all options.
"""
_IMPORT = "  --import MODULE        trusted module that checkpoints may load networks from\n"
_EVALUATION = (
    _CONFIG
    + """\
  --ckpt_path FILE       checkpoint (default: best.ckpt of the run folder)
  --data.root FOLDER     folder of the data sets (default: $GANMC_DATA, or data)
  --trainer.default_root_dir FOLDER
                         run folder (default: that of the configuration)
"""
    + _IMPORT
)

PAGES = {
    "fit": """\
Train a classifier, a GAN or a student; write a run folder with checkpoints.
"""
    "\noptions:\n"
    + _CONFIG
    + """\
  --data.p_fake P        share of synthetic samples in training, from 0 to 1
  --trainer.max_epochs N
                         number of epochs; the last one is always validated
  --trainer.default_root_dir FOLDER
                         new run folder (default: that of the configuration,
                         otherwise runs/default)
  --ckpt_path FILE       last.ckpt of a run to resume
  --print_config         print the merged configuration and exit
  --model.help CLASS     list the arguments of a training method and exit
"""
    + _IMPORT
    + """
examples:
  ganmc fit --config configs/digits/teacher.yaml
  ganmc fit --config configs/digits/distillation.yaml --data.p_fake 0.5
""",
    "validate": "Evaluate a run on the validation split.\n\noptions:\n"
    + _EVALUATION
    + "\nexample:\n  ganmc validate --config runs/mine/config.yaml\n",
    "test": "Evaluate a run on the test split; add the metrics to its result.json.\n\noptions:\n"
    + _EVALUATION
    + "\nexample:\n  ganmc test --config runs/mine/config.yaml\n",
    "predict": "Run inference on the test split; write predictions.npz.\n\noptions:\n"
    + _EVALUATION
    + "\nexample:\n  ganmc predict --config runs/mine/config.yaml\n",
    "forest": """\
Distill a random forest into small tabular models and compare with baselines.
"""
    "\noptions:\n"
    + _CONFIG
    + """\
  --out FOLDER           run folder (default: runs/<data>/forest/seed<seed>)
  --export FOLDER        folder for the best small student and the teacher as C,
                         ONNX and skops files
  --seed N               random seed (default: 0)
  --checkpoints MAP      checkpoints of GANs by name; null removes one
  --n-jobs N             threads that fit trees (default: all processors)
"""
    + _IMPORT
    + """
example:
  ganmc forest --config configs/breast_cancer/forest.yaml \\
      --checkpoints.gan null --export small/
""",
    "tabular-study": """\
Compare students, label sources and synthesizers on one table.
"""
    "\noptions:\n"
    + _CONFIG
    + """\
  --data.dataset CLASS   data set
  --out FOLDER           run folder
                         (default: runs/<data>/tabular_study/seed<seed>)
  --seed N               random seed (default: 0)
"""
    + _IMPORT
    + """
example:
  ganmc tabular-study --config configs/tabular_study/tabular_study.yaml \\
      --data.dataset ganmc_lightning.data.datasets.BreastCancer
""",
}


def help_page(command: str) -> str:
    """Return the short help page of a command.

    Example:
        >>> print(help_page("test").splitlines()[0])
        usage: ganmc test --config FILE [--KEY VALUE ...]
    """
    return f"usage: ganmc {command} --config FILE [--KEY VALUE ...]\n\n{PAGES[command]}{_END.format(command=command)}"
