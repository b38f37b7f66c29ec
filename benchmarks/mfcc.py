"""How redub's MFCC differ from those of python_speech_features, and how much sound lies below their floor.

Both are given the same sound and the same frames of 25 ms, every 10 ms, and settings as near to each other as they
go; the library sums powers where redub sums magnitudes::

    python benchmarks/mfcc.py
    python benchmarks/mfcc.py CLIPS/val/*.mp4
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

import redub.demo
from redub.media import open_speech
from redub.speech import features as f
from redub.types import Doubles, Floats


def library_mfcc(speech: Floats) -> Doubles:
    """(N,) -> (M, 12): the library's, without its first coefficient."""
    with warnings.catch_warnings():
        # Its source holds backslashes that Python warns of.
        warnings.simplefilter("ignore")
        from python_speech_features import mfcc

    form = {"winlen": f.LENGTH / f.RATE_HZ, "winstep": f.HOP / f.RATE_HZ, "nfft": f.FFT, "winfunc": np.hamming, "preemph": f.EMPHASIS}
    bank = {"nfilt": f.FILTERS, "lowfreq": f.LOWEST_HZ, "highfreq": f.HIGHEST_HZ}
    rows = mfcc(speech * f.INT16, f.RATE_HZ, numcep=f.COEFFICIENTS + 1, ceplifter=f.LIFTER, appendEnergy=False, **form, **bank)
    return np.asarray(rows[:, 1:])


def columns_of(path: Path) -> tuple[Doubles, Doubles, Doubles]:
    """Return redub's coefficients (M, 12), the library's, and the filter energies (M, 40) of a file's sound."""
    with open_speech(path, f.RATE_HZ) as sound:
        speech = sound.window(0, sound.samples)
    starts = np.arange(0, max(len(speech) - f.LENGTH, 0) + 1, f.HOP)
    # The library fills the last frame up, where redub's grid ends.
    return f.mfcc_at(speech, starts)[:, 1:], library_mfcc(speech)[: len(starts)], f.filter_energies(speech, starts)


def main() -> None:
    """Print the Markdown tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sounds", type=Path, nargs="*", help="any files with sound; by default the demo's two")
    demo = Path(redub.demo.__file__).parent
    sounds = options.parse_args().sounds or [demo / redub.demo.VIDEO, demo / redub.demo.SOUND]
    found = [columns_of(path) for path in sounds]
    print("| sound | columns | filter energies below the floor | columns wholly below it | median energy |\n|---|---|---|---|---|")
    for path, (_, _, energies) in zip(sounds, found, strict=True):
        low = energies < f.FLOOR
        print(f"| {path.name} | {len(low)} | {low.mean():.2%} | {low.all(axis=1).mean():.2%} | {np.median(energies):.3g} |")
    # Where redub's floor acts the library has another, so these columns say nothing of the recipes.
    whole = np.concatenate([(energies >= f.FLOOR).all(axis=1) for _, _, energies in found])
    ours, theirs = (np.concatenate([pair[i] for pair in found])[whole] for i in (0, 1))
    titles = ("coefficient", "spread here", "spread there", "correlation", "slope", "difference", "difference from the line")
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for number, (x, y) in enumerate(zip(ours.T, theirs.T, strict=True), 1):
        slope = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
        off = y - y.mean() - slope * (x - x.mean())
        numbers = f"{x.std():.1f} | {y.std():.1f} | {np.corrcoef(x, y)[0, 1]:.3f} | {slope:.2f}"
        print(f"| {number} | {numbers} | {np.median(np.abs(y - x)):.1f} | {np.median(np.abs(off)):.1f} |")


if __name__ == "__main__":
    main()
