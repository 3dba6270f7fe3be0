"""Names from elsewhere become text in Markdown, whatever they are."""

import pytest

from mentormix_tf import markdown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cifar10_n-0.4", "cifar10_n-0.4"),
        ("a|b", "a\\|b"),
        ("<script>x</script> & y", "&lt;script&gt;x&lt;/script&gt; &amp; y"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("a\n\n# b", "a # b"),
        ("`x` *y*", "\\`x\\` \\*y\\*"),
        (0.5, "0.5"),
    ],
)
def test_escaped(text, shown):
    assert markdown.escaped(text) == shown
