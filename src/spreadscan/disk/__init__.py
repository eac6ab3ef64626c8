"""How files come to be, grow and go, so that a kill at any point leaves none of them half.

`whole` puts a file in place of another, `linefile` appends rows to text files, `archive`
compresses and removes those that are over, `reserve` tells when a disk is nearly full. Nothing
outside this room renames or syncs a file.
"""
