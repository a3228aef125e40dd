"""What is kept out of training: bad words, bad pictures, duplicates, evaluation data, pictures that nobody described.

`assemble.Filters` is all that a builder needs for one sample at a time; `duplicates` looks at all of them together.
"""
