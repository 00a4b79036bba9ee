import sys

from spendra.command import main

sys.exit(main())
