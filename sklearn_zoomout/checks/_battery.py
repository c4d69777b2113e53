"""Which checks run for which kind of step."""

from collections.abc import Callable, Iterator
from typing import Any

from . import _composition as composition
from . import _construction as construction
from . import _copies as copies
from . import _failing as failing
from . import _fitting as fitting
from . import _inputs as inputs
from . import _labels as labels
from . import _outputs as outputs
from . import _parallel as parallel
from . import _refusals as refusals
from . import _side_effects as side_effects
from ._given import Given
from ._kind import Kind

Check = Callable[[Any, Given], None]

_OF_ALL: tuple[Check, ...] = (
    construction.check_clone_keeps_params,
    construction.check_init_only_stores,
    construction.check_params_round_trip,
    construction.check_params_can_be_set,
    construction.check_deep_params,
    construction.check_unknown_param_is_refused,
    construction.check_signature_of_fit,
    construction.check_no_assert_statement,
    construction.check_tags,
    construction.check_is_no_classifier_of_sklearn,
    construction.check_clone_is_not_fitted,
    construction.check_repr,
    construction.check_html_repr,
    fitting.check_fit_returns_self,
    fitting.check_fit_keeps_params,
    fitting.check_fitted_names,
    fitting.check_use_sets_nothing,
    fitting.check_is_fitted_after_fit,
    fitting.check_is_not_fitted_before_fit,
    fitting.check_methods_before_fit,
    fitting.check_fit_twice,
    fitting.check_refit_forgets,
    fitting.check_refit_sets_the_same,
    fitting.check_fit_of_clone,
    fitting.check_random_state,
    fitting.check_random_state_object,
    fitting.check_fit_without_masks,
    fitting.check_memory,
    failing.check_interrupted_fit,
    failing.check_failed_fit,
    failing.check_errors_of_data_are_not_hidden,
    failing.check_fit_after_failed_fit,
    outputs.check_one_output_per_image,
    outputs.check_output_types,
    outputs.check_output_dtypes,
    outputs.check_output_shapes,
    outputs.check_outputs_are_finite,
    outputs.check_outputs_are_copies,
    outputs.check_repeated_output,
    outputs.check_order_of_images,
    outputs.check_image_alone,
    outputs.check_duplicates,
    inputs.check_one_image,
    inputs.check_equal_images,
    inputs.check_input_unchanged,
    inputs.check_masks_unchanged,
    inputs.check_read_only_input,
    inputs.check_fortran_order,
    inputs.check_negative_strides,
    inputs.check_non_contiguous,
    inputs.check_big_endian,
    inputs.check_tuples,
    inputs.check_object_arrays,
    inputs.check_lazy_sequences,
    refusals.check_one_array_is_refused,
    refusals.check_empty_list_is_refused,
    refusals.check_other_types_are_refused,
    refusals.check_numbers_are_refused,
    copies.check_pickle,
    copies.check_pickle_before_fit,
    copies.check_deepcopy,
    copies.check_copies_are_independent,
    copies.check_joblib_dump,
    copies.check_save_model,
    copies.check_fit_of_loaded_model,
    parallel.check_threads_use_one_estimator,
    parallel.check_threads_fit_clones,
    parallel.check_n_jobs,
    parallel.check_backend_threading,
    parallel.check_backend_loky,
    parallel.check_backend_multiprocessing,
    side_effects.check_global_random_state,
    side_effects.check_global_settings,
    side_effects.check_no_warnings,
    side_effects.check_no_files_are_left,
    side_effects.check_nothing_is_printed,
    composition.check_pipeline,
    composition.check_nested_pipeline,
    composition.check_step_is_changed_by_set_params,
    composition.check_clone_of_pipeline,
    composition.check_cross_val_score,
    composition.check_cross_val_predict,
    composition.check_grid_search,
    composition.check_frozen,
    composition.check_metadata_routing,
    composition.check_pandas_output,
    composition.check_tags_stay,
)
_OF_INPUT: dict[str, tuple[Check, ...]] = {
    "images": (
        inputs.check_uint8_and_float,
        inputs.check_larger_images,
        refusals.check_nan_image_is_refused,
        refusals.check_image_of_wrong_shape_is_refused,
        refusals.check_empty_image_is_refused,
        refusals.check_missing_image_is_refused,
    ),
    "superpixels": (
        inputs.check_uint8_and_float,
        inputs.check_larger_images,
        inputs.check_list_of_segmented_images,
        inputs.check_view_of_images,
    ),
    "table": (
        inputs.check_view_of_images,
        refusals.check_nan_feature_is_refused,
        refusals.check_other_columns_are_refused,
        labels.check_features_in,
        composition.check_input_of_pandas,
    ),
}
_OF_TRANSFORMERS: tuple[Check, ...] = (
    outputs.check_fit_transform,
    outputs.check_fit_transform_fits,
    composition.check_set_output,
)
_OF_OUTPUT: dict[str, tuple[Check, ...]] = {
    "superpixels": (
        *_OF_TRANSFORMERS,
        outputs.check_superpixels_hold_the_images,
    ),
    "table": (
        *_OF_TRANSFORMERS,
        outputs.check_feature_names_are_those_of_the_table,
        outputs.check_feature_names_are_different,
        outputs.check_feature_names_are_text,
        outputs.check_columns_do_not_depend_on_images,
        outputs.check_rows_are_told_apart,
        fitting.check_names_before_fit,
        composition.check_feature_union,
        composition.check_zoomout_union,
    ),
    "labels": (
        inputs.check_mask_dtypes,
        labels.check_classes,
        labels.check_labels_are_classes,
        labels.check_labels_of_any_value,
        labels.check_unlabeled_pixels,
        labels.check_unlabeled_image,
        labels.check_probabilities_sum_to_one,
        labels.check_probabilities_agree_with_labels,
        labels.check_score_is_a_share,
        labels.check_score_is_a_measure,
        labels.check_perfect_score,
        labels.check_score_leaves_unlabeled_pixels_out,
        labels.check_scorer,
        refusals.check_wrong_number_of_masks_is_refused,
        refusals.check_mask_of_wrong_shape_is_refused,
        refusals.check_nan_mask_is_refused,
        refusals.check_fractional_mask_is_refused,
        refusals.check_rgb_mask_is_refused,
        refusals.check_one_mask_is_refused,
        refusals.check_unlabeled_masks_are_refused,
        refusals.check_unknown_label_is_refused,
    ),
}


def checks_of(kind: Kind) -> Iterator[Check]:
    """Yield the checks of a kind of step, each once."""
    yield from _OF_ALL
    yield from _OF_INPUT[kind.input]
    yield from _OF_OUTPUT[kind.output]
    if kind == Kind("table", "labels"):
        yield labels.check_probabilities_of_superpixels
