"""What a caller did wrong.

It owns one exception, whose message is the sentence that the caller gets.
"""


class BadRequestError(ValueError):
    """A request that cannot be carried out."""
