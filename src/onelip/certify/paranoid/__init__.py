"""Prove a certificate a third time, in ball arithmetic; needs python-flint (`pip install onelip[rigorous]`).

Shares with the checker what reads its files, and nothing with what wrote the certificate.
"""

from onelip.certify.paranoid.confirmation import Confirmation, confirm

__all__ = ["Confirmation", "confirm"]
