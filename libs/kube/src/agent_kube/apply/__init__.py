"""Children made what they should be, with as few and as small requests as that takes."""
