"""Bad input from lists: each ends in a result or in one sentence, in bounded time and memory."""
