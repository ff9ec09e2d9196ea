"""How numbers are written for people."""

import math


def plain(value: float) -> str:
    """Three significant digits, as a person writes them: 0.05, 1.5, 82, 1,240; – if not finite."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
