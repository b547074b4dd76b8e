"""From a config to a runner, and from a checkpoint to predictions, for every task.

======================  ===================================================================
:mod:`~.config`         read a config; change it as the command line asks
:mod:`~.config_files`   configs by their paths, and by their names in the package
:mod:`~.overrides`      options and changes of a config that would change nothing
:mod:`~.pipelines`      change a data set's transforms by their names
:mod:`~.channels`       give necks and heads the channels of the backbone's maps
:mod:`~.length`         change a training's length and learning rate with their schedule
:mod:`~.switches`       change batch size, data and classes
:mod:`~.recipe`         what switches add to a recipe: averaging, freezing, trackers ...
:mod:`~.metrics`        a test's metrics as text, with their units
:mod:`~.config_errors`  what a config names wrongly, in one line
:mod:`~.runner`         build the runner: work dir, launcher, hooks that every run has
:mod:`~.training`       train, and evaluate a checkpoint
:mod:`~.timing`         how long a training takes here, by a few of its iterations
:mod:`~.workers`        workers on this machine or a cluster, by Dask
:mod:`~.weights`        load and write weights; carry a backbone between tasks
:mod:`~.inference`      trained models, and predictors around them
:mod:`~.results`        what a network says of one image: text, data, pictures
:mod:`~.optim`          bfloat16 on any device; a learning rate of attention's own
:mod:`~.hooks`          hooks, one per file (those of one task are in the task)
======================  ===================================================================
"""
