"""How many processes may join: as many as there are cores to spare, by a container's quota too."""

from __future__ import annotations

from pathlib import Path

import pytest

from images_emulator.rendering.cores import spare_cores


def group(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def version_1(quota: int) -> dict[str, str]:
    return {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.fixture
def unlimited(tmp_path: Path) -> int:
    return spare_cores(tmp_path / "nothing")


@pytest.mark.parametrize("told", [{"cpu.max": "max 100000\n"}, version_1(-1), {"cpu.max": ""}])
def test_without_a_quota_all_cores_count(
    told: dict[str, str], tmp_path: Path, unlimited: int
) -> None:
    assert spare_cores(group(tmp_path, told)) == unlimited


@pytest.mark.parametrize("quota", [1, 50_000, 100_000, 199_999])
@pytest.mark.parametrize("version", [1, 2])
def test_less_than_two_cores_leave_none_to_spare(quota: int, version: int, tmp_path: Path) -> None:
    told = version_1(quota) if version == 1 else {"cpu.max": f"{quota} 100000\n"}
    assert spare_cores(group(tmp_path, told)) == 0


def test_a_quota_gives_no_core_that_is_not_there(tmp_path: Path, unlimited: int) -> None:
    told = {"cpu.max": "100000000 100000\n"}
    assert spare_cores(group(tmp_path, told)) == unlimited


@pytest.mark.skipif(not spare_cores(), reason="one core is the server's own")
def test_two_cores_leave_one_to_spare(tmp_path: Path) -> None:
    assert spare_cores(group(tmp_path, {"cpu.max": "200000 100000\n"})) == 1
