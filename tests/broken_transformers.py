"""Segmenters and levels with one fault each, and the check that must find it."""

import copy
import multiprocessing
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from toy_estimators import ToyLevel, ToyRegionLevel, ToySegmenter, forget

from sklearn_zoomout import FeatureTable, SegmentedImage, Superpixels
from sklearn_zoomout.table import Block


class InitConverts(ToyLevel):
    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None, random_state=None):
        super().__init__(gain, np.asarray(offsets), n_jobs, random_state)


class InitAddsAttribute(ToyLevel):
    def __init__(self, gain=1.0, offsets=(0, 0, 0), n_jobs=None, random_state=None):
        super().__init__(gain, offsets, n_jobs, random_state)
        self.mean_ = None


class SetParamsReturnsNothing(ToyLevel):
    def set_params(self, **params):
        super().set_params(**params)


class SetParamsCopies(ToyLevel):
    def set_params(self, **params):
        return super().set_params(**copy.deepcopy(params))


class SetParamsDoesNothing(ToyLevel):
    def set_params(self, **params):
        return self


class SetParamsTakesAnything(ToyLevel):
    def set_params(self, **params):
        vars(self).update(params)
        return self


class CloneForgetsParams(ToyLevel):
    def __sklearn_clone__(self):
        return type(self)()


class CloneKeepsWhatWasLearned(ToyLevel):
    def __sklearn_clone__(self):
        return copy.deepcopy(self)


class CloneOfFittedIsAnother(ToyLevel):
    def __sklearn_clone__(self):
        gain = 0.0 if hasattr(self, "mean_") else self.gain
        return type(self)(gain, self.offsets, self.n_jobs, self.random_state)


class FitTakesNoMasks(ToyLevel):
    def fit(self, superpixels):
        return super().fit(superpixels)


class FitNeedsWeights(ToyLevel):
    def fit(self, superpixels, masks, weights):
        return super().fit(superpixels)


class ReliesOnAssert(ToyLevel):
    def fit(self, superpixels, masks=None):
        assert len(superpixels) > 0, "no images"
        return super().fit(superpixels)


class TagsSayTable(ToyLevel):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class TagsChangeInFit(ToyLevel):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = hasattr(self, "mean_")
        return tags


class PrintsWhatItLearned(ToyLevel):
    def __repr__(self):
        return f"{super().__repr__()} {getattr(self, 'mean_', '')}"


class CannotTellWhetherFitted(ToyLevel):
    def __sklearn_is_fitted__(self):
        return self.mean_ is not None


class FitReturnsNothing(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)


class FitReplacesParameter(ToyLevel):
    def fit(self, superpixels, masks=None):
        self.gain = 2.0
        return super().fit(superpixels, masks)


class FitChangesParameterInPlace(ToyLevel):
    def fit(self, superpixels, masks=None):
        self.offsets[0] += 1
        return super().fit(superpixels, masks)


class FitNamesWithoutUnderscore(ToyLevel):
    def fit(self, superpixels, masks=None):
        self.average = 0
        return super().fit(superpixels, masks)


class TransformSetsAttribute(ToyLevel):
    def transform(self, superpixels):
        self.n_images_ = len(superpixels)
        return super().transform(superpixels)


class TransformChangesAttribute(ToyLevel):
    """Remembers the images that it has described since fit."""

    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self.n_seen_ = 0
        return self

    def transform(self, superpixels):
        self.n_seen_ += len(superpixels)
        return super().transform(superpixels)


class HidesWhatItLearned(ToyLevel):
    """Learns into private attributes, which scikit-learn does not look at."""

    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self._mean = vars(self).pop("mean_")
        return self

    def transform(self, superpixels):
        level = ToyLevel(self.gain, self.offsets)
        level.mean_ = self._mean
        return level.transform(superpixels)


class IsAlwaysFitted(ToyLevel):
    def __sklearn_is_fitted__(self):
        return True


class TransformFits(ToyLevel):
    def transform(self, superpixels):
        if not hasattr(self, "mean_"):
            self.fit(superpixels)
        return super().transform(superpixels)


class TransformNeedsAttribute(ToyLevel):
    def transform(self, superpixels):
        self.mean_.sum()
        return super().transform(superpixels)


class NamesBeforeFit(ToyLevel):
    def get_feature_names_out(self, input_features=None):
        return np.array(["red", "green", "blue"], dtype=object)


class FitGoesOn(ToyLevel):
    def fit(self, superpixels, masks=None):
        before = getattr(self, "mean_", 0)
        super().fit(superpixels, masks)
        self.mean_ = self.mean_ + before
        return self


class FitsOnlyOnce(ToyLevel):
    def fit(self, superpixels, masks=None):
        return self if hasattr(self, "mean_") else super().fit(superpixels, masks)


class FirstFitSetsMore(ToyLevel):
    def fit(self, superpixels, masks=None):
        is_first = not hasattr(self, "mean_")
        super().fit(superpixels, masks)
        if is_first:
            self.first_ = True
        return self


class IgnoresTheSeed(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self.mean_ = self.mean_ + np.random.default_rng().normal()
        return self


class NeedsIntegerSeed(ToyLevel):
    def fit(self, superpixels, masks=None):
        np.random.default_rng(self.random_state + 1)
        return super().fit(superpixels, masks)


class NeedsMasks(ToyLevel):
    def fit(self, superpixels, masks=None):
        len(masks)
        return super().fit(superpixels, masks)


class RecallsOtherRows(ToyRegionLevel):
    cache_version = 1

    def describe(self, segmented):
        return super().describe(segmented) + (self.memory is not None)


class KeepsTheEarlierFit(ToyLevel):
    def fit(self, superpixels, masks=None):
        learned = ToyLevel().fit(superpixels)
        self.mean_ = learned.mean_
        return self


class KeepsWhatItHas(ToyLevel):
    """Forgets the earlier fit, and then keeps half of the new one."""

    def fit(self, superpixels, masks=None):
        forget(self)
        self.mean_ = superpixels[0].rgb.mean(axis=(0, 1))
        self.mean_ = np.mean([s.rgb.mean(axis=(0, 1)) for s in superpixels], axis=0)
        return self


class SkipsWhatItCannotRead(ToyLevel):
    def fit(self, superpixels, masks=None):
        try:
            return super().fit(superpixels, masks)
        except OSError:
            self.mean_ = np.zeros(3)
            return self


class StaysBroken(ToyLevel):
    def fit(self, superpixels, masks=None):
        broken, self._broken = getattr(self, "_broken", False), True
        super().fit(superpixels, masks)
        self.mean_ = self.mean_ + broken
        self._broken = broken
        return self


class DropsAnImage(ToyLevel):
    def transform(self, superpixels):
        return super().transform(superpixels)[:-1]


class ReturnsAnArray(ToyLevel):
    def transform(self, superpixels):
        return super().transform(superpixels).to_numpy()


class ReturnsFloat64(ToyLevel):
    def describe(self, segmented):
        return super().describe(segmented).astype(np.float64)


class DescribesOtherSuperpixels(ToyLevel):
    def transform(self, superpixels):
        turned = [
            SegmentedImage(s.image, s.segments[::-1, ::-1].copy()) for s in superpixels
        ]
        return super().transform(Superpixels(turned))


class DescribesByNaN(ToyLevel):
    def describe(self, segmented):
        rows = super().describe(segmented)
        rows[0] = np.nan
        return rows


class ReturnsWhatItKeeps(ToyLevel):
    def transform(self, superpixels):
        if getattr(self, "_known", None) is not superpixels:
            self._known = superpixels
            self._table = super().transform(superpixels)
        return self._table


class AddsNoise(ToyLevel):
    def describe(self, segmented):
        noise = np.random.default_rng().normal()
        return super().describe(segmented) + np.float32(noise)


class DependsOnTheFirstImage(ToyLevel):
    def transform(self, superpixels):
        self.mean_ = superpixels[0].rgb.mean(axis=(0, 1))
        return super().transform(superpixels)


class DependsOnTheNumberOfImages(ToyLevel):
    def transform(self, superpixels):
        self.mean_ = np.full(3, 1 / len(superpixels))
        return super().transform(superpixels)


class SkipsDuplicates(ToyLevel):
    def transform(self, superpixels):
        table = super().transform(superpixels)
        seen = set()
        for i, segmented in enumerate(superpixels):
            digest = segmented.image.tobytes()
            if digest in seen:
                rows = slice(*table.row_offsets[i : i + 2])
                table.blocks[0].values[rows] = 0
            seen.add(digest)
        return table


class FitTransformIsAnother(ToyLevel):
    def fit_transform(self, superpixels, masks=None):
        self.fit(superpixels)
        return ToyLevel(gain=3.0).fit(superpixels).transform(superpixels)


class FitTransformLearnsAnother(ToyLevel):
    def fit_transform(self, superpixels, masks=None):
        table = self.fit(superpixels).transform(superpixels)
        self.mean_ = self.mean_ + 1
        return table


class NamesTooFew(ToyLevel):
    def transform(self, superpixels):
        rows = ToyLevel().fit(superpixels).transform(superpixels).to_numpy()
        return FeatureTable(superpixels, [Block("toy", ("a", "b", "c"), rows)])

    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[:-1]


class NamesInAnotherOrder(ToyLevel):
    def transform(self, superpixels):
        table = super().transform(superpixels)
        names = table.blocks[0].columns[::-1]
        return FeatureTable(superpixels, [Block("toy", names, table.to_numpy())])


class NamesTwice(ToyLevel):
    def get_feature_names_out(self, input_features=None):
        return np.array(["red", "green", "red"], dtype=object)


class NamesAreNumbers(ToyLevel):
    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.arange(3)


class NamesDependOnImages(ToyLevel):
    def transform(self, superpixels):
        table = super().transform(superpixels)
        names = tuple(f"{name}_of_{len(superpixels)}" for name in "abc")
        return FeatureTable(superpixels, [Block("toy", names, table.to_numpy())])


class DescribesByZero(ToyLevel):
    def describe(self, segmented):
        return 0 * super().describe(segmented)


class PaintsSuperpixels(ToySegmenter):
    def transform(self, images):
        return Superpixels(
            SegmentedImage(255 - s.image, s.segments) for s in super().transform(images)
        )


class CropsImages(ToySegmenter):
    def transform(self, images):
        return super().transform([image[:-1] for image in images])


class RefusesOneImage(ToyLevel):
    def transform(self, superpixels):
        if len(superpixels) == 1:
            raise ValueError("superpixels: expected several images, got one.")
        return super().transform(superpixels)


class RefusesFewImages(ToyLevel):
    def fit(self, superpixels, masks=None):
        if len(superpixels) < 3:
            raise ValueError("superpixels: expected more images.")
        return super().fit(superpixels, masks)


class KnowsObjects(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self._known = {id(segmented) for segmented in superpixels}
        return self

    def describe(self, segmented):
        return super().describe(segmented) * (id(segmented) in self._known)


class FitPaintsImages(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        superpixels[0].image[:5] = 0
        return self


class TransformPaintsImages(ToyLevel):
    def describe(self, segmented):
        rows = super().describe(segmented)
        segmented.image[:5] = 0
        return rows


class FitPaintsMasks(ToyLevel):
    def fit(self, superpixels, masks=None):
        masks[0][:] = 0
        return super().fit(superpixels, masks)


class WritesToImages(ToyLevel):
    def describe(self, segmented):
        segmented.image[0, 0] = segmented.image[0, 0]
        return super().describe(segmented)


class ReadsInMemoryOrder(ToyLevel):
    def describe(self, segmented):
        first = segmented.image.ravel("K")[7:99].sum()
        return super().describe(segmented) + np.float32(first)


class RefusesNegativeStrides(ToyLevel):
    """As torch.from_numpy does."""

    def describe(self, segmented):
        if min(segmented.image.strides) < 0:
            raise ValueError("negative strides are not supported.")
        return super().describe(segmented)


class RefusesGaps(ToyLevel):
    def describe(self, segmented):
        if segmented.image.strides[1] > 3 * segmented.image.itemsize:
            raise ValueError("expected a contiguous array.")
        return super().describe(segmented)


class ReadsBytes(ToyLevel):
    def describe(self, segmented):
        if not segmented.image.dtype.isnative:
            raise TypeError("expected native byte order.")
        return super().describe(segmented)


class ReadsRawValues(ToyLevel):
    def describe(self, segmented):
        return super().describe(segmented) + np.float32(segmented.image.mean())


class RefusesLargerImages(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self.largest_ = max(segmented.segments.size for segmented in superpixels)
        return self

    def describe(self, segmented):
        if segmented.segments.size > self.largest_:
            raise ValueError("the image is larger than those of fit.")
        return super().describe(segmented)


class TakesListsOnly(ToySegmenter):
    def fit(self, images, masks=None):
        if type(images) is not list:
            raise TypeError("images: expected a list.")
        return super().fit(images, masks)


class TakesSuperpixelsOnly(ToyLevel):
    def fit(self, superpixels, masks=None):
        if not isinstance(superpixels, Superpixels):
            raise TypeError("expected Superpixels.")
        return super().fit(superpixels, masks)


class CuresImages(ToySegmenter):
    """Base of segmenters that take bad input for good."""

    def cure(self, images):
        """Return better images."""
        raise NotImplementedError

    def fit(self, images, masks=None):
        return super().fit(self.cure(images), masks)

    def transform(self, images):
        return super().transform(self.cure(images))


class TakesOneArray(CuresImages):
    def cure(self, images):
        return [images] if isinstance(images, np.ndarray) else images


class TakesNothing(ToySegmenter):
    def fit(self, images, masks=None):
        if len(images):
            return super().fit(images, masks)
        self.largest_ = 0
        return self


class TakesText(CuresImages):
    def cure(self, images):
        return [np.zeros((8, 8, 3))] if isinstance(images, str) else images


class TakesNumbers(CuresImages):
    def cure(self, images):
        is_table = getattr(images, "ndim", 0) == 2
        return [np.zeros((8, 8, 3))] if is_table else images


class FillsNaN(CuresImages):
    def cure(self, images):
        return [np.nan_to_num(image) for image in images]


class SqueezesImages(CuresImages):
    def cure(self, images):
        return [image[0] if image.ndim == 4 else image for image in images]


class LeavesEmptyImagesOut(CuresImages):
    def cure(self, images):
        return [image for image in images if len(image)]


class LeavesMissingImagesOut(CuresImages):
    def cure(self, images):
        return [image for image in images if image is not None]


class ForgetsWhenPickled(ToyLevel):
    def __getstate__(self):
        state = super().__getstate__()
        return state | ({"mean_": np.zeros(3)} if "mean_" in state else {})


class CannotBeCopied(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self.lock_ = threading.Lock()
        return self


class HasCode(ToyLevel):
    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        self.function_ = str.upper
        return self


class CannotBePickledBeforeFit(ToyLevel):
    def __getstate__(self):
        if not hasattr(self, "mean_"):
            raise TypeError("fit it first")
        return super().__getstate__()

    def __deepcopy__(self, memo):
        return clone(self)


class LearnsInPlace(ToyLevel):
    def fit(self, superpixels, masks=None):
        learned = ToyLevel().fit(superpixels).mean_
        self.mean_ = getattr(self, "mean_", np.zeros(3))
        self.mean_[...] = learned
        return self


class WritesToWhatItLearned(ToyLevel):
    def transform(self, superpixels):
        self.mean_ += 0
        return super().transform(superpixels)


class KeepsTheCurrentImage(ToyLevel):
    def describe(self, segmented):
        self._current = segmented
        time.sleep(0.002)
        return super().describe(self._current)


class LearnsIntoTheClass(ToyLevel):
    sums = np.zeros(3)

    def fit(self, superpixels, masks=None):
        super().fit(superpixels, masks)
        cls = type(self)
        cls.sums = np.zeros(3)
        for segmented in superpixels:
            time.sleep(0.005)
            cls.sums = cls.sums + segmented.rgb.mean(axis=(0, 1))
        time.sleep(0.02)
        self.mean_ = cls.sums
        return self


class DependsOnJobs(ToyLevel):
    def describe(self, segmented):
        return super().describe(segmented) * (self.n_jobs or 1)


class NeedsTheMainThread(ToyLevel):
    def fit(self, superpixels, masks=None):
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread.")
        return super().fit(superpixels, masks)


class NeedsTheMainProcess(ToyLevel):
    def fit(self, superpixels, masks=None):
        if multiprocessing.parent_process() is not None:
            raise ValueError("no process can be started in a process.")
        return super().fit(superpixels, masks)


class DrawsGlobally(ToyLevel):
    def fit(self, superpixels, masks=None):
        np.random.normal()
        return super().fit(superpixels, masks)


class SeedsTorch(ToyLevel):
    def fit(self, superpixels, masks=None):
        import torch

        torch.manual_seed(time.time_ns() % 2**32)
        return super().fit(superpixels, masks)


class ChangesSettings(ToyLevel):
    def fit(self, superpixels, masks=None):
        memory = sklearn.get_config()["working_memory"]
        sklearn.set_config(working_memory=memory + 1)
        return super().fit(superpixels, masks)


class Warns(ToyLevel):
    def fit(self, superpixels, masks=None):
        warnings.warn("this takes long", UserWarning, stacklevel=2)
        return super().fit(superpixels, masks)


class LeavesAFile(ToyLevel):
    def fit(self, superpixels, masks=None):
        Path("toy.txt").write_text("toy")
        return super().fit(superpixels, masks)


class Prints(ToyLevel):
    def fit(self, superpixels, masks=None):
        print("fitting")
        return super().fit(superpixels, masks)


class EqualsEverything(ToyLevel):
    def __eq__(self, other):
        return True

    __hash__ = None


class CannotBeRouted(ToyLevel):
    def get_metadata_routing(self):
        raise AttributeError("requests")


class BecomesAFrame(ToySegmenter, auto_wrap_output_keys=("transform",)):
    def transform(self, images):
        return super().transform(images)

    def get_feature_names_out(self, input_features=None):
        return np.array(["superpixels"], dtype=object)


class TransformIsNotDescribe(ToyRegionLevel):
    def transform(self, superpixels):
        table = super().transform(superpixels)
        table.blocks[0].values[:] *= 2
        return table


BROKEN = {
    "init_only_stores": {
        InitConverts: "changes offsets",
        InitAddsAttribute: "['mean_']",
    },
    "params_round_trip": {
        SetParamsReturnsNothing: "does not return self",
        SetParamsCopies: "set_params changes offsets",
    },
    "params_can_be_set": {SetParamsDoesNothing: "gain cannot be set"},
    "unknown_param_is_refused": {SetParamsTakesAnything: "expected an error"},
    "signature_of_fit": {
        FitTakesNoMasks: "two arguments",
        FitNeedsWeights: "['weights']",
    },
    "no_assert_statement": {ReliesOnAssert: "assert len(superpixels) > 0"},
    "tags": {TagsSayTable: "two_d_array"},
    "clone_keeps_params": {CloneForgetsParams: "clone changes ['gain'"},
    "clone_is_not_fitted": {CloneKeepsWhatWasLearned: "['mean_']"},
    "repr": {PrintsWhatItLearned: "otherwise after fit"},
    "html_repr": {CannotTellWhetherFitted: "a notebook cannot show it"},
    "fit_returns_self": {FitReturnsNothing: "does not return self"},
    "fit_keeps_params": {
        FitReplacesParameter: "replaces gain",
        FitChangesParameterInPlace: "['offsets'] in place",
    },
    "fitted_names": {FitNamesWithoutUnderscore: "['average']"},
    "use_sets_nothing": {
        TransformSetsAttribute: "['n_images_']",
        TransformChangesAttribute: "changes ['n_seen_']",
    },
    "is_fitted_after_fit": {HidesWhatItLearned: "check_is_fitted"},
    "is_not_fitted_before_fit": {IsAlwaysFitted: "got none"},
    "methods_before_fit": {
        TransformFits: "transform before fit must raise NotFittedError, got no error",
        TransformNeedsAttribute: "AttributeError",
    },
    "names_before_fit": {NamesBeforeFit: "got none"},
    "fit_twice": {FitGoesOn: "a second fit to the same"},
    "refit_forgets": {FitsOnlyOnce: "differs from a fresh one"},
    "refit_sets_the_same": {FirstFitSetsMore: "['first_']"},
    "fit_of_clone": {CloneOfFittedIsAnother: "learns something else"},
    "random_state": {IgnoresTheSeed: "the same random_state differ"},
    "random_state_object": {NeedsIntegerSeed: "cannot be a RandomState"},
    "fit_without_masks": {NeedsMasks: "masks are not required"},
    "memory": {RecallsOtherRows: "in memory differ"},
    "interrupted_fit": {
        KeepsTheEarlierFit: "interrupted fit must raise NotFittedError, got no error",
        KeepsWhatItHas: "got no error",
    },
    "failed_fit": {
        KeepsTheEarlierFit: "failed fit must raise NotFittedError, got no error"
    },
    "errors_of_data_are_not_hidden": {SkipsWhatItCannotRead: "goes on without"},
    "fit_after_failed_fit": {StaysBroken: "a fit after a failed one differs"},
    "one_output_per_image": {DropsAnImage: "returns 3 items for 4 images"},
    "output_types": {ReturnsAnArray: "ndarray, not FeatureTable"},
    "output_dtypes": {ReturnsFloat64: "float64"},
    "output_shapes": {
        DescribesOtherSuperpixels: "other superpixels of image 0",
        CropsImages: "for an image of",
    },
    "outputs_are_finite": {DescribesByNaN: "NaN"},
    "outputs_are_copies": {ReturnsWhatItKeeps: "changes its next output"},
    "repeated_output": {AddsNoise: "differs from the first"},
    "order_of_images": {DependsOnTheFirstImage: "depends on the order"},
    "image_alone": {DependsOnTheNumberOfImages: "depends on other images"},
    "duplicates": {SkipsDuplicates: "comes twice"},
    "fit_transform": {FitTransformIsAnother: "differs from fit().transform()"},
    "fit_transform_fits": {FitTransformLearnsAnother: "differs from that after fit"},
    "feature_names_are_those_of_the_table": {
        NamesTooFew: "2 names for 3 columns",
        NamesInAnotherOrder: "otherwise",
    },
    "feature_names_are_different": {NamesTwice: "same name"},
    "feature_names_are_text": {NamesAreNumbers: "no text"},
    "columns_do_not_depend_on_images": {NamesDependOnImages: "other columns"},
    "rows_are_told_apart": {DescribesByZero: "equal"},
    "superpixels_hold_the_images": {PaintsSuperpixels: "another image"},
    "one_image": {RefusesOneImage: "one image is refused"},
    "equal_images": {KnowsObjects: "equal images"},
    "input_unchanged": {
        FitPaintsImages: "fit changes its input",
        TransformPaintsImages: "transform or predict changes its input",
    },
    "masks_unchanged": {FitPaintsMasks: "changes the masks"},
    "read_only_input": {WritesToImages: "read-only input is refused"},
    "fortran_order": {ReadsInMemoryOrder: "Fortran's order gives something else"},
    "negative_strides": {RefusesNegativeStrides: "negative strides is refused"},
    "non_contiguous": {RefusesGaps: "with gaps is refused"},
    "big_endian": {ReadsBytes: "big-endian input is refused"},
    "uint8_and_float": {ReadsRawValues: "0..1 give something else"},
    "larger_images": {RefusesLargerImages: "twice the height and width are refused"},
    "tuples": {TakesListsOnly: "a tuple is refused"},
    "object_arrays": {TakesListsOnly: "an object array is refused"},
    "lazy_sequences": {TakesListsOnly: "a lazy sequence is refused"},
    "list_of_segmented_images": {TakesSuperpixelsOnly: "a list is refused"},
    "one_array_is_refused": {TakesOneArray: "got none"},
    "empty_list_is_refused": {TakesNothing: "got none"},
    "other_types_are_refused": {TakesText: "got none"},
    "numbers_are_refused": {TakesNumbers: "got none"},
    "nan_image_is_refused": {FillsNaN: "got none"},
    "image_of_wrong_shape_is_refused": {SqueezesImages: "got none"},
    "empty_image_is_refused": {LeavesEmptyImagesOut: "got none"},
    "missing_image_is_refused": {LeavesMissingImagesOut: "got none"},
    "pickle": {
        ForgetsWhenPickled: "pickling changes the output",
        CannotBeCopied: "cannot be pickled",
    },
    "pickle_before_fit": {CannotBePickledBeforeFit: "cannot be pickled"},
    "deepcopy": {CannotBeCopied: "cannot be copied"},
    "copies_are_independent": {LearnsInPlace: "shallow copy changes"},
    "joblib_dump": {WritesToWhatItLearned: "loading as memory maps"},
    "save_model": {HasCode: "save_model cannot save"},
    "fit_of_loaded_model": {HasCode: "save_model cannot save"},
    "threads_use_one_estimator": {KeepsTheCurrentImage: "several threads"},
    "threads_fit_clones": {LearnsIntoTheClass: "several threads"},
    "n_jobs": {DependsOnJobs: "n_jobs changes the output"},
    "backend_threading": {NeedsTheMainThread: "'threading' cannot fit it"},
    "backend_loky": {NeedsTheMainProcess: "'loky' cannot fit it"},
    "backend_multiprocessing": {NeedsTheMainProcess: "'multiprocessing' cannot"},
    "global_random_state": {DrawsGlobally: "random state", SeedsTorch: "random state"},
    "global_settings": {ChangesSettings: "settings"},
    "no_warnings": {Warns: "this takes long"},
    "no_files_are_left": {LeavesAFile: "toy.txt"},
    "nothing_is_printed": {Prints: "fitting"},
    "pipeline": {FitTransformLearnsAnother: "learns something else than alone"},
    "nested_pipeline": {EqualsEverything: "alone"},
    "step_is_changed_by_set_params": {SetParamsDoesNothing: "cannot set gain"},
    "clone_of_pipeline": {CloneOfFittedIsAnother: "labels otherwise"},
    "cross_val_score": {RefusesFewImages: "cross_val_score fails"},
    "cross_val_predict": {RefusesFewImages: "cross_val_predict fails"},
    "grid_search": {RefusesFewImages: "GridSearchCV fails"},
    "frozen": {HidesWhatItLearned: "NotFittedError"},
    "metadata_routing": {CannotBeRouted: "with metadata routing it fails"},
    "pandas_output": {BecomesAFrame: "transform_output='pandas' it fails"},
    "set_output": {BecomesAFrame: "set_output(transform='pandas') it fails"},
    "tags_stay": {TagsChangeInFit: "tags change"},
    "feature_union": {ReturnsAnArray: "a FeatureUnion fails"},
    "zoomout_union": {TransformIsNotDescribe: "a ZoomoutUnion changes its columns"},
}
