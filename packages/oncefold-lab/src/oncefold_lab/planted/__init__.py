"""Known-wrong variants of Oncefold's functions, each with one mistake that a pipeline like it has been seen to make.

The search has to find every one of them within the seeds that the catalogue states; docs/LAB.md has the table.
"""
