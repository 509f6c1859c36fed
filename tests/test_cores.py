"""CPU cores for render processes, within a container's quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from images_emulator.rendering.cores import available_cores, spare_cores


def cgroup(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def version_1(quota: int) -> dict[str, str]:
    return {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.fixture
def unlimited(tmp_path: Path) -> int:
    return spare_cores(tmp_path / "nothing")


@pytest.mark.parametrize("files", [{"cpu.max": "max 100000\n"}, version_1(-1), {"cpu.max": ""}])
def test_without_a_quota_all_cores_count(
    files: dict[str, str], tmp_path: Path, unlimited: int
) -> None:
    assert spare_cores(cgroup(tmp_path, files)) == unlimited


@pytest.mark.parametrize("quota", [1, 50_000, 100_000, 199_999])
@pytest.mark.parametrize("version", [1, 2])
def test_a_quota_below_two_cores_spares_none(quota: int, version: int, tmp_path: Path) -> None:
    files = version_1(quota) if version == 1 else {"cpu.max": f"{quota} 100000\n"}
    assert spare_cores(cgroup(tmp_path, files)) == 0


def test_a_quota_above_the_cores_adds_none(tmp_path: Path, unlimited: int) -> None:
    files = {"cpu.max": "100000000 100000\n"}
    assert spare_cores(cgroup(tmp_path, files)) == unlimited


def test_a_quota_of_two_cores_spares_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", {0: {1, 4}}.__getitem__, raising=False)
    assert spare_cores(cgroup(tmp_path, {"cpu.max": "200000 100000\n"})) == 1


@pytest.mark.parametrize("quota", [0, 1, 99_999, 199_999])
def test_a_quota_below_two_cores_leaves_one(quota: int, tmp_path: Path) -> None:
    assert available_cores(cgroup(tmp_path, {"cpu.max": f"{quota} 100000\n"})) == 1


def test_the_cores_are_those_of_the_affinity_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", {0: {1, 4, 5, 7}}.__getitem__, raising=False)
    assert available_cores(tmp_path) == 4
    assert spare_cores(tmp_path) == 3
    assert [spare_cores(tmp_path, processes=number) for number in (1, 2, 3, 5)] == [3, 1, 0, 0]


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_without_an_affinity_the_cores_are_those_of_the_machine(
    count: int | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available_cores(tmp_path) == cores
