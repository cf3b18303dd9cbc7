"""Certify a run's network by linear relaxation, beside its constant."""

from __future__ import annotations

import time
from typing import Any

import torch

from onelip.certify import relaxed_margins
from onelip.certify.certification import to_pixels
from onelip.experiments.config import Certify
from onelip.experiments.errors import as_user_errors
from onelip.experiments.evaluation import Certified, radius_key
from onelip.experiments.files import write_json_atomically
from onelip.experiments.progress import work_bar
from onelip.experiments.run_folder import RunFolder


def relax_certified(certified: Certified, options: Certify, folder: RunFolder) -> dict[str, Any] | None:
    """Certify the samples of a certificate at the configured radii by linear relaxation; write `relaxation.json`.

    Args:
        certified: What was certified.
        options: Radii and method.
        folder: The run's folder.

    Returns:
        What the file holds, or None if the options name no method.

    Raises:
        UserError: If the network has an operation without a relaxation.
    """
    if options.relaxation is None:
        return None
    certificate = certified.certificate
    images = torch.from_numpy(to_pixels(certificate.images, certificate.scale)).double()
    labels, shares, began = torch.from_numpy(certificate.labels), {}, time.perf_counter()
    with as_user_errors(), work_bar("relaxing") as progress:
        for done, radius in enumerate(options.radii, start=1):
            margins = relaxed_margins(
                certificate.network,
                images,
                labels,
                radius,
                method=options.relaxation,
                norm=certificate.norm,
                # Constants that are estimates would make this one, too.
                constants=certificate.proved,
            )
            shares[radius_key(radius)] = float((margins.amin(1) > 0).double().mean())
            progress(done, len(options.radii))
    result = {
        "method": options.relaxation,
        "norm": certificate.norm,
        "samples": len(labels),
        "certified": shares,
        "seconds": round(time.perf_counter() - began, 3),
    }
    write_json_atomically(folder.relaxation_file, result)
    return result
