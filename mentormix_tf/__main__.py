"""python -m mentormix_tf: the same as `mentormix`."""

import sys

from mentormix_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
