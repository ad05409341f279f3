"""Poses: their bounds, their seed, and where a drawing lands on its paper."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tools.assets.poses import FILL, ROTATION, SHIFT, SIZE, Pose, draw_pose, pose_image, trim

STRAIGHT = Pose(0.0, 1.0, 0.0, 0.0, False, (255, 255, 255))


def flag(width: int = 200, height: int = 100) -> Image.Image:
    """Left half black, right half red: shows size, place, turn and mirror."""
    image = Image.new("RGBA", (width, height), (220, 0, 0, 255))
    image.paste((0, 0, 0, 255), (0, 0, width // 2, height))
    return image


def test_poses_stay_within_their_bounds_and_use_them():
    poses = [draw_pose(0, "line", "cat", number) for number in range(2000)]
    assert max(abs(p.angle) for p in poses) == pytest.approx(ROTATION, abs=0.2)
    assert min(p.divisor for p in poses) >= 0.95 and max(p.divisor for p in poses) <= 1.67
    assert max(abs(p.dx) for p in poses) <= SHIFT and max(abs(p.dy) for p in poses) <= SHIFT
    assert all(abs(p.dx) + FILL / (2 * p.divisor) <= 0.541 for p in poses)  # hardly anything is cut
    assert sum(p.mirror for p in poses) / 2000 == pytest.approx(0.5, abs=0.05)
    assert min(min(p.paper) for p in poses) >= round(255 * 0.75) - 1
    assert sum(p.paper == (255, 255, 255) for p in poses) / 2000 == pytest.approx(0.5, abs=0.05)


def test_a_pose_follows_from_seed_domain_class_and_number():
    pose = draw_pose(0, "line", "cat", 3)
    assert pose == draw_pose(0, "line", "cat", 3)
    others = [(1, "line", "cat", 3), (0, "solid", "cat", 3), (0, "line", "dog", 3), (0, "line", "cat", 4)]
    assert all(draw_pose(*other) != pose for other in others)


def test_what_is_written_is_never_mirrored():
    for number in range(64):
        plain = draw_pose(0, "line", "book", number, may_mirror=False)
        assert not plain.mirror
        assert plain == replace(draw_pose(0, "line", "book", number), mirror=False)


def test_the_straight_pose_fills_its_share_of_the_paper():
    pixels = np.asarray(pose_image(flag(), STRAIGHT)).astype(int)
    assert pixels.shape == (SIZE, SIZE, 3)
    inked = pixels.min(axis=2) < 128
    assert inked.any(axis=0).sum() == pytest.approx(FILL * SIZE, abs=1)
    assert inked.any(axis=1).sum() == pytest.approx(FILL * SIZE / 2, abs=1)
    assert pixels[SIZE // 2, SIZE // 4].max() < 40 and pixels[SIZE // 2, 3 * SIZE // 4, 0] > 180


def test_mirror_swaps_left_and_right():
    mirrored = np.asarray(pose_image(flag(), replace(STRAIGHT, mirror=True))).astype(int)
    straight = np.asarray(pose_image(flag(), STRAIGHT)).astype(int)
    assert np.abs(mirrored - straight[:, ::-1]).max() <= 2


def test_a_positive_angle_turns_counter_clockwise():
    pixels = np.asarray(pose_image(flag(), replace(STRAIGHT, angle=90.0))).astype(int)
    assert pixels[3 * SIZE // 4, SIZE // 2].max() < 40  # the black left half points down
    assert pixels[SIZE // 4, SIZE // 2, 0] > 180


def test_divisor_shift_and_paper():
    pose = Pose(0.0, 1.5, 0.1, -0.05, False, (200, 250, 240))
    pixels = np.asarray(pose_image(flag(), pose)).astype(int)
    assert pixels[0, 0].tolist() == [200, 250, 240] == pixels[-1, -1].tolist()
    rows, columns = np.nonzero(pixels[..., 1] < 125)
    assert np.ptp(columns) + 1 == pytest.approx(FILL * SIZE / 1.5, abs=1.5)
    assert (columns.mean() + 0.5) / SIZE == pytest.approx(0.6, abs=0.01)
    assert (rows.mean() + 0.5) / SIZE == pytest.approx(0.45, abs=0.01)


def test_a_blank_drawing_is_refused():
    with pytest.raises(ValueError, match="blank"):
        trim(np.zeros((8, 8, 4), np.uint8))
