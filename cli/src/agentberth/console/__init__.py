"""The console: a local web page that shows agents and what they did.

`view` is what the page is told, `source` where it comes from: a run on this machine, or a cluster. `server` serves both
to one browser of one user, and `page/` is the page itself: plain modules, loaded as they stand.
"""
