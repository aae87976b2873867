"""Relative paths of a configuration: the working folder's files, else the workflow's own.

So the demo can be planned from any folder, and a campaign of one's own can use the subjects and
recipes that the workflow ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from patchbench.system.source_folder import find

# Folders that a configuration need not name, as in its schema.
DEFAULTS = {"subjects": "config/subjects", "recipes": "envs/images"}


def resolve(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the configuration with each path that only the workflow's source folder has written
    out. Values of a wrong type stay, for the schema to refuse."""
    made = dict(config)
    for key, default in DEFAULTS.items():
        path = config.get(key, default)
        if isinstance(path, str) and (found := find(path, source)) != default:
            made[key] = found
    for key in ("tasks", "parents"):
        if isinstance(config.get(key), list):
            made[key] = [_task_list(item, source) for item in config[key]]
    if isinstance(config.get("data_sets"), Mapping):
        data = config["data_sets"].items()
        made["data_sets"] = {name: _with(item, "file", source) for name, item in data}
    if isinstance(config.get("agents"), Mapping):
        made["agents"] = {name: _agent(agent, source) for name, agent in config["agents"].items()}
    return made


def _task_list(item: Any, source: str) -> Any:
    if isinstance(item, str):
        return find(item, source)
    return _with(item, "file", source)


def _agent(agent: Any, source: str) -> Any:
    if not isinstance(agent, Mapping):
        return agent
    patches = agent.get("patches")
    if isinstance(patches, list):
        return {**agent, "patches": [_with(place, "path", source) for place in patches]}
    return _with(agent, "patches", source)


def _with(item: Any, key: str, source: str) -> Any:
    if not isinstance(item, Mapping) or not isinstance(item.get(key), str):
        return item
    return {**item, key: find(item[key], source)}
