"""What other models got on MME, as it was published: facts to draw beside a run.

Source: the leaderboards in github.com/BradyFU/Awesome-Multimodal-Large-Language-Models (branch Evaluation), as they
stood on the day given. Scores are of 200 for each subtask; `perception` and `cognition` are the published sums, which
may differ from the sum of the rounded subtasks in the last digit. Their column Poster is the subtask posters; the others
differ from the names of the subtasks in case and spaces only.
"""

from __future__ import annotations

from dataclasses import dataclass

from skymm.evaluation.benchmarks.mme import SUBTASKS

SOURCE = "github.com/BradyFU/Awesome-Multimodal-Large-Language-Models"


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the leaderboard of that day; scores in the order of MME's SUBTASKS."""

    model: str
    date: str
    perception: float
    cognition: float
    scores: tuple[float, ...]

    @property
    def subtasks(self) -> dict[str, float]:
        return dict(zip(SUBTASKS, self.scores, strict=True))


PUBLISHED = (
    Published(
        "Skywork-MM-13B",
        "2023-11-24",
        1419.08,
        356.43,
        (180.0, 151.67, 63.33, 145.0, 175.85, 160.29, 138.89, 127.04, 114.51, 162.5, 126.43, 95.0, 80.0, 55.0),
    ),
    Published(
        "Qwen-VL-Chat",
        "2023-11-24",
        1487.58,
        360.71,
        (158.33, 150.0, 128.33, 170.0, 178.57, 120.59, 152.25, 164.0, 125.5, 140.0, 130.71, 40.0, 147.5, 42.5),
    ),
    Published(
        "MMICL",
        "2023-11-24",
        1381.73,
        428.93,
        (170.0, 160.0, 81.67, 156.67, 146.26, 141.76, 153.75, 136.13, 135.5, 100.0, 136.43, 82.5, 132.5, 77.5),
    ),
    Published(
        "BLIVA",
        "2023-11-24",
        1337.73,
        331.43,
        (180.0, 138.33, 81.67, 180.0, 155.1, 140.88, 151.5, 89.5, 133.25, 87.5, 136.43, 57.5, 77.5, 60.0),
    ),
    Published(
        "BLIP-2",
        "2023-11-24",
        1293.84,
        290.0,
        (160.0, 135.0, 73.33, 148.33, 141.84, 105.59, 145.25, 138.0, 136.5, 110.0, 110.0, 40.0, 65.0, 75.0),
    ),
    Published(
        "Qwen-VL-Max",
        "2024-11-26",
        1790.04,
        643.57,
        (183.33, 166.67, 176.67, 180.0, 187.76, 184.12, 173.0, 187.5, 166.0, 185.0, 148.57, 155.0, 170.0, 170.0),
    ),
    Published(
        "InternLM-XComposer2-VL",
        "2024-11-26",
        1712.0,
        530.71,
        (195.0, 160.0, 163.33, 195.0, 171.09, 153.82, 164.75, 176.0, 185.5, 147.5, 145.71, 137.5, 147.5, 100.0),
    ),
    Published(
        "MiniCPM-V 2.6",
        "2024-11-26",
        1668.03,
        697.86,
        (195.0, 160.0, 136.67, 175.0, 179.93, 151.18, 153.25, 177.5, 147.0, 192.5, 157.86, 185.0, 185.0, 170.0),
    ),
    Published(
        "InternVL-Chat-V1.5",
        "2024-11-26",
        1637.84,
        550.0,
        (190.0, 175.0, 166.67, 178.33, 173.81, 138.53, 154.75, 177.75, 143.0, 140.0, 135.0, 125.0, 185.0, 105.0),
    ),
    Published(
        "GPT-4V",
        "2024-11-26",
        1409.43,
        517.14,
        (190.0, 160.0, 95.0, 150.0, 192.18, 0.0, 151.0, 138.25, 148.0, 185.0, 142.14, 130.0, 75.0, 170.0),
    ),
    Published(
        "LLaVA (Vicuna-13B)",
        "2024-11-26",
        1531.31,
        295.36,
        (185.0, 155.0, 133.33, 170.0, 160.54, 152.94, 161.25, 170.5, 117.75, 125.0, 127.86, 42.5, 77.5, 47.5),
    ),
)
