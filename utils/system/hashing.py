"""Short hashes that tell contents apart: BLAKE2b of 16 bytes, as 32 hexadecimal digits."""

import hashlib


def hash_bytes(pieces):
    """Return the hash of pieces of bytes, one after the other."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def hash_text(text):
    """Return the hash of a text as UTF-8."""
    return hash_bytes([text.encode()])
