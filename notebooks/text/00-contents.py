# %% [markdown]
# # perflab
#
# A performance guide makes claims; this book puts them to the test on your machine. Ten chapters,
# each on its own. Chapter 1 says how to read one, and the others need little more than it. The next
# cell tells how far you have come; run it again whenever you like.

# %%
from perflab.book import progress

progress()

# %% [markdown]
# ## The chapters
#
# Each opens with a mystery. Minutes are for reading and predicting, exercises apart.
#
# <!-- the chapters -->
#
# The book's words stand in the [glossary](glossary.ipynb). Each chapter links a term where it
# comes up first.
