"""The eight flips and transpositions of an image: for self-ensemble."""
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class View:
    """One way to look at images (..., H, W): some axes flipped, then perhaps transposed.

    Args:
        flip_rows, flip_columns, transposed (bool): Whether.
    """
    flip_rows: bool = False
    flip_columns: bool = False
    transposed: bool = False

    def apply(self, x):
        """Tensor: The view of images."""
        x = x.flip(self._dims)
        return x.mT if self.transposed else x

    def undo(self, x):
        """Tensor: The images of a view."""
        x = x.mT if self.transposed else x
        return x.flip(self._dims)

    def window(self, rows, columns, height, width):
        """tuple[slice, slice]: Where the view of an image of height x width shows its rows and columns (slices)."""
        rows = slice(height - rows.stop, height - rows.start) if self.flip_rows else rows
        columns = slice(width - columns.stop, width - columns.start) if self.flip_columns else columns
        return (columns, rows) if self.transposed else (rows, columns)

    @property
    def _dims(self):
        return [dim for dim, flipped in ((-2, self.flip_rows), (-1, self.flip_columns)) if flipped]


ALL_VIEWS = tuple(View(*choice) for choice in product((False, True), repeat=3))
