"""Numbers and short texts as people read them."""


def kilo(number):
    """str: A count in thousands, as papers print parameters: ``1,693 K``."""
    return f'{number / 1e3:,.0f} K'


def giga(number):
    """str: A count in billions, as papers print Mult-Adds: ``382.7 G``."""
    return f'{number / 1e9:,.1f} G'


def duration(seconds):
    """str: ``6 h 12 min``, ``3 min 5 s`` or ``12.3 s``."""
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f'{minutes} min {seconds} s'
    hours, minutes = divmod(round(minutes + seconds / 60), 60)
    return f'{hours} h {minutes} min' if hours < 48 else f'{hours / 24:.1f} days'


def power_of_two(exponent):
    """str: ``2³⁰``."""
    return '2' + str(exponent).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))
