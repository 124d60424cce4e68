"""What people leave in place of a secret: words of documentation and examples, and secrets that were published."""

import re

# Secrets in widely copied documentation. They look random, and everybody knows them.
PUBLISHED = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial on tokens
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",  # RFC 7515
    }
)
_WORDS = (
    "access admin alpaca an and api app at auth authentication be bearer bit bits byte bytes change changed changeit "
    "changeme character characters chars default demo dev development django do dummy enough example fake fill foo "
    "foobar for generate generated here hex hmac hs256 hs384 hs512 in insecure insert is it json jwt key least length "
    "local localhost long longer me minimum must my need needs new not of only or own pass passphrase passwd password "
    "paste phrase placeholder please private prod production put random randomly real replace replaced sample secret "
    "secrets secure security sellctl server should sign signed signing some something string strong super temp "
    "temporary test testing text that the this to todo token tokens top unsafe use used value very will with word "
    "words write xxx you your yours"
)
_ANY_WORD = re.compile("|".join(sorted(_WORDS.split(), key=len, reverse=True)), re.IGNORECASE)


def without_placeholders(secret: str) -> str:
    """The secret without words that placeholders consist of: nothing random is left of a placeholder."""
    return _ANY_WORD.sub("", secret)
