"""The stages of an experiment on a data set, and the seconds that they take."""

import resource

import numpy as np
from _common import Stopwatch, pick
from sklearn.pipeline import FeatureUnion

from sklearn_zoomout import (
    Backbone,
    ConvnetRegionFeatures,
    ConvnetSuperpixelFeatures,
    FineTuning,
    GlobalFeatures,
    LocalFeatures,
    ProximalFeatures,
    SuperpixelSegmenter,
    ZoomoutClassifier,
    ZoomoutUnion,
)

# How the names of stages begin that run again for other training images: those of
# models, and those of features.
_OF_MODELS = ("training", "prediction")
_OF_FEATURES = ("dictionaries", "local and proximal", "all levels, fine-tuned")


class Experiment:
    """Superpixels, features and training, as the options say.

    Parameters
    ----------
    args : argparse.Namespace
        The options of `_common.add_options`.

    Attributes
    ----------
    stopwatch : Stopwatch
        The seconds of the stages.
    """

    def __init__(self, args):
        self.args = args
        self.stopwatch = Stopwatch()

    def segment(self, images):
        """Compute the superpixels of images."""
        args = self.args
        with self.stopwatch("superpixels"):
            segmenter = SuperpixelSegmenter(
                args.n_segments, n_jobs=args.n_jobs, verbose=args.verbose
            )
            return segmenter.transform(images)

    def backbone(self, name, **options):
        """Return the network of NAME or NAME=WEIGHTS."""
        name, _, weights = name.partition("=")
        return Backbone(
            name,
            None if weights == "none" else weights or "default",
            dtype=self.args.dtype,
            flip=self.args.flip,
            device=self.args.device,
            **options,
        )

    def convnet_levels(self, backbone=None):
        """Return the distant and the global level, and that of --maps."""
        args = self.args
        common = {"backbone": backbone, "verbose": args.verbose}
        sized = common | {"input_size": args.input_size}
        levels = [
            ConvnetRegionFeatures(pooling=args.pooling, **sized),
            GlobalFeatures(**common),
        ]
        if args.maps is not None:
            levels.append(ConvnetSuperpixelFeatures(layers=args.maps or "all", **sized))
        return levels

    def describe_convnets(self, superpixels):
        """Return the table of every --backbone, by its name."""
        return {
            name: self.describe_convnet(name, superpixels)
            for name in self.args.backbone
        }

    def describe_convnet(self, name, superpixels):
        """Compute the convnet levels, which learn nothing, one after the other."""
        tables = []
        for level in self.convnet_levels(self.backbone(name)):
            with self.stopwatch(f"{level.block_name}, {name}"):
                tables.append(level.fit_transform(superpixels))
        print(f"{name}: {level.weights_}, sha256 {level.weights_sha256_}")
        return np.concatenate(tables, axis=1)

    def describe_fine_tuned(self, name, superpixels, masks, train):
        """Compute the convnet levels of a network trained on the images ``train``."""
        levels = [(level.block_name, level) for level in self.convnet_levels()]
        backbone = self.backbone(
            name,
            fine_tune=FineTuning(self.args.tuning_steps),
            random_state=self.args.seed,
        )
        union = ZoomoutUnion(levels, backbone=backbone, n_jobs=self.args.n_jobs)
        with self.stopwatch(f"training, network, {name}"):
            union.fit(superpixels[train], pick(masks, train))
        with self.stopwatch(f"all levels, fine-tuned {name}"):
            return union.transform(superpixels)

    def describe_crafted(self, superpixels, train):
        """Compute the local and the proximal level, with dictionaries of ``train``."""
        options = {
            "n_jobs": self.args.n_jobs,
            "random_state": self.args.seed,
            "verbose": self.args.verbose,
        }
        union = FeatureUnion(
            [
                ("local", LocalFeatures(**options)),
                ("proximal", ProximalFeatures(**options)),
            ]
        )
        with self.stopwatch("dictionaries"):
            union.fit(superpixels[train])
        with self.stopwatch("local and proximal"):
            return union.transform(superpixels)

    def classifier(self, hidden_units, **options):
        """Return a classifier that is trained as the options say."""
        if self.args.learning_rate is not None:
            options["learning_rate"] = self.args.learning_rate
        return ZoomoutClassifier(
            hidden_units,
            max_epochs=self.args.epochs,
            weight_decay=self.args.weight_decay,
            device=self.args.device,
            random_state=self.args.seed,
            **options,
        )

    def train_and_predict(self, model, table, masks, split, name):
        """Train on some of the images, and return the label maps of others."""
        train, test = split
        with self.stopwatch(f"training, {name}"):
            model.fit(table[train], pick(masks, train))
        with self.stopwatch(f"prediction, {name}"):
            return model.predict(table[test])

    def print_cost(self, n_images, passes=1):
        """Print the seconds of every stage.

        Parameters
        ----------
        n_images : int
            Number of images.
        passes : int, default=1
            How often the stages ran that depend on the training images.
        """
        print(f"\n{'seconds':46s}total   per image and pass")
        extraction = 0.0
        for stage, seconds in self.stopwatch.seconds.items():
            repeated = stage.startswith(_OF_MODELS + _OF_FEATURES)
            of_a_pass = seconds / (passes if repeated else 1)
            if not stage.startswith((*_OF_MODELS, "all levels")):
                extraction += of_a_pass
            print(f"{stage:44s}{seconds:7.0f}{of_a_pass / n_images:12.3f}")
        minutes = extraction / 60
        print(f"one extraction of all features above: {minutes:.1f} minutes")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory: {peak:.1f} GB")
