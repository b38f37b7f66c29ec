"""draw: a plan -> pictures that show whether it is right.

A contact sheet shows where faces, landmarks and crops were seen; a timeline shows when.  Both are for looking at before a
long render, so they stay at a sane size however long the video is: what is left out is said in the picture.
"""

from redub.draw.lanes import timeline
from redub.draw.sheet import contact_sheet

__all__ = ["contact_sheet", "timeline"]
