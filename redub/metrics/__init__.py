"""metrics: is it good?  What ``redub evaluate`` measures, as a library."""

from redub.metrics.adapting import adapting
from redub.metrics.evaluation import Load, Protocol, evaluate
from redub.metrics.page import compare, markdown, write_page
from redub.metrics.profile import Profile, mean_profile
from redub.metrics.recordings import Recording, find_recordings
from redub.metrics.report import Report
from redub.metrics.sync import find_network
from redub.metrics.takes import Take

__all__ = [
    "Load", "Profile", "Protocol", "Recording", "Report", "Take",
    "adapting", "compare", "evaluate", "find_network", "find_recordings", "markdown", "mean_profile", "write_page",
]  # fmt: skip
