"""What PostHog's private API makes of dashboards, insights, cohorts and alerts: what it refuses, and what it fills in.

As its serializers do: an insight's query is saved unread, a cohort's filters are read strictly, an alert is checked
against its insight. Answers differ from what was sent as PostHog's do.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

Row = dict[str, Any]

_GROUP: Final = frozenset({"type", "values"})
_LEAVES: Final[dict[str, frozenset[str]]] = {
    "behavioral": frozenset(
        {
            *("type", "key", "value", "event_type", "time_value", "time_interval", "negation", "operator"),
            *("operator_value", "seq_time_interval", "seq_time_value", "seq_event", "seq_event_type"),
            *("total_periods", "min_periods", "event_filters", "explicit_datetime", "explicit_datetime_to"),
        }
    ),
    "person": frozenset({"type", "key", "operator", "value", "negation"}),
    "cohort": frozenset({"type", "key", "value", "negation"}),
}
_REQUIRED: Final = {
    "behavioral": ("key", "value", "event_type"),
    "person": ("key",),
    "cohort": ("key", "value"),
}
_DETECTORS: Final = {
    "zscore": {"threshold": None, "window": None, "preprocessing": None},
    "iqr": {"multiplier": None, "window": None, "preprocessing": None},
}
_RANGES: Final = {"threshold": (0.0, 1.0), "window": (5, 1000), "multiplier": (0.5, 10.0)}
_INTERVALS: Final = ("hourly", "daily", "weekly", "monthly")
_NO_TIME_SERIES: Final = frozenset({"BoldNumber", "ActionsPie", "ActionsBarValue", "ActionsTable"})
_NAME_LENGTH: Final = 400
_ENSEMBLE: Final = 2  # detectors at least


class Refusal(Exception):
    """An answer other than success.

    Args:
        status: The HTTP status.
        detail: PostHog's sentence.
        attr: The field that is wrong.
    """

    def __init__(self, status: int, detail: str, attr: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.attr = attr


def text(body: Row, name: str, *, required: bool = False) -> None:
    """Refuse a field that is no text of at most 400 characters."""
    if name not in body:
        if required:
            raise Refusal(400, "This field is required.", name)
        return
    if not isinstance(body[name], str):
        raise Refusal(400, "Not a valid string.", name)
    if name == "name" and len(body[name]) > _NAME_LENGTH:
        raise Refusal(400, f"Ensure this field has no more than {_NAME_LENGTH} characters.", name)


def tags(body: Row) -> list[str]:
    """Return tags as PostHog keeps them: lower case, without spaces around, each once, in its own order."""
    found = body["tags"]
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise Refusal(400, 'Expected a list of items but got type "str".', "tags")
    return sorted({tag.strip().lower() for tag in found})


def shown_query(query: Any) -> Any:
    """Return a saved query as it is answered: with the version of its schema."""
    shown = deepcopy(query)
    if isinstance(shown, dict) and isinstance(shown.get("source"), dict):
        shown["source"]["version"] = 2
    return shown


def cohort_filters(filters: Any) -> Row:
    """Return a cohort's filters as they are saved, with what is compiled from them."""
    properties = filters.get("properties") if isinstance(filters, dict) else None
    if not isinstance(properties, dict):
        raise Refusal(400, "Filters must contain a 'properties' key with type and values", "filters")
    saved = _group(properties)
    if all(leaf.get("negation") for leaf in _leaves(saved)):
        raise Refusal(400, "It looks like cohort filters only have negations.", "filters")
    return {"properties": saved}


def _group(group: Row) -> Row:
    unknown = set(group) - _GROUP
    if unknown or group.get("type") not in {"AND", "OR"} or not isinstance(group.get("values"), list):
        raise Refusal(400, f"Extra inputs are not permitted: {sorted(unknown)}", "filters")
    return {"type": group["type"], "values": [_filter(one) for one in group["values"]]}


def _filter(one: Any) -> Row:
    if not isinstance(one, dict):
        raise Refusal(400, "Input should be an object", "filters")
    if "values" in one:
        return _group(one)
    kind = one.get("type")
    known = _LEAVES.get(str(kind))
    if known is None:
        raise Refusal(400, f"Input tag {kind!r} does not match any of the expected tags", "filters")
    if unknown := set(one) - known:
        raise Refusal(400, f"Extra inputs are not permitted: {sorted(unknown)}", "filters")
    if missing := [name for name in _REQUIRED[str(kind)] if name not in one]:
        raise Refusal(400, f"Missing required keys: {missing}", "filters")
    if one.get("operator_value") is not None and not isinstance(one["operator_value"], int):
        raise Refusal(400, "operator_value: Input should be a valid integer", "filters")
    return {"negation": False, **one, "bytecode": ["_H", 1, 32, one["key"]], "conditionHash": "c0ffee"}


def _leaves(group: Row) -> list[Row]:
    found: list[Row] = []
    for one in group["values"]:
        found.extend(_leaves(one) if "values" in one else [one])
    return found


def detector(config: Any) -> Row | None:
    """Return an alert's detector as it is saved: what it leaves out is null."""
    if config is None:
        return None
    if not isinstance(config, dict):
        raise Refusal(400, "Invalid detector configuration.", "detector_config")
    if config.get("type") == "ensemble":
        detectors = config.get("detectors") or []
        if len(detectors) < _ENSEMBLE or config.get("operator") not in {"and", "or"}:
            raise Refusal(400, "Ensemble detector requires at least 2 sub-detectors.", "detector_config")
        return {"type": "ensemble", "operator": config["operator"], "detectors": [detector(one) for one in detectors]}
    defaults = _DETECTORS.get(str(config.get("type")))
    if defaults is None or set(config) - {"type", *defaults}:
        raise Refusal(400, "Invalid detector configuration.", "detector_config")
    for name, (low, high) in _RANGES.items():
        if config.get(name) is not None and not low <= config[name] <= high:
            raise Refusal(400, f"{name} must be between {low} and {high}.", "detector_config")
    return {**defaults, **config}


def check_alert(alert: Row, insight: Row) -> None:
    """Refuse an alert that could not be evaluated on its insight."""
    source = (insight.get("query") or {}).get("source") or {}
    if source.get("kind") != "TrendsQuery":
        raise Refusal(400, "Alerts are not supported for this insight.", "insight")
    shown = source.get("trendsFilter") or {}
    configuration = (alert.get("threshold") or {}).get("configuration")
    if not isinstance(configuration, dict) or configuration.get("type") not in {"absolute", "percentage"}:
        raise Refusal(400, "This field is required.", "threshold")
    config = alert.get("config") or {}
    if config.get("type") != "TrendsAlertConfig" or not isinstance(config.get("series_index"), int):
        raise Refusal(400, f"Alert has invalid TrendsAlertConfig: {config}")
    count = len(shown.get("formulaNodes") or source.get("series") or [])
    if config["series_index"] >= count:
        raise Refusal(400, f"series_index {config['series_index']} is out of range (query has {count} series)")
    if alert.get("calculation_interval") not in _INTERVALS:
        raise Refusal(400, f'"{alert.get("calculation_interval")}" is not a valid choice.', "calculation_interval")
    _check_condition(alert, configuration, shown.get("display"))


def _check_condition(alert: Row, configuration: Row, display: object) -> None:
    condition = (alert.get("condition") or {}).get("type")
    if condition not in {"absolute_value", "relative_increase", "relative_decrease"}:
        raise Refusal(400, "Alert has invalid condition")
    if condition == "absolute_value" and configuration["type"] != "absolute":
        raise Refusal(400, "Absolute value alerts require an absolute threshold")
    relative = condition != "absolute_value" or alert.get("detector_config")
    if relative and display in _NO_TIME_SERIES:
        raise Refusal(400, "Not compatible with non time series trends")
    bounds = configuration.get("bounds") or {}
    ongoing = alert["config"].get("check_ongoing_interval")
    if ongoing and condition != "relative_decrease" and bounds.get("upper") is None:
        raise Refusal(400, "check_ongoing_interval is only supported when upper threshold is specified")
    if None not in (bounds.get("lower"), bounds.get("upper")) and bounds["lower"] >= bounds["upper"]:
        raise Refusal(400, "Lower threshold must be less than upper threshold", "threshold")
    if not alert.get("detector_config") and bounds.get("upper") is None and bounds.get("lower") is None:
        raise Refusal(400, "At least one threshold bound (lower or upper) must be provided.")
