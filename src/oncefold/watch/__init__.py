"""Looking at totals again and again while another program moves them: looks, what changed between them, rates.

Nothing here knows a terminal. Where the totals are is behind `watching.Source`: a store, a server, or a stack on AWS.
"""
