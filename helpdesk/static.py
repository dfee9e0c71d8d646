"""How browser packages and our own files become /static/."""

import hashlib
import shutil
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage


class Static(StaticFilesConfig):
    """Django's staticfiles, leaving out of the npm packages what no page loads."""

    ignore_patterns = [  # noqa: RUF012 declared by Django as it is
        *StaticFilesConfig.ignore_patterns,
        "*.map",
        "*.gz",
        "*.d.ts",
        "*.rtl.*",
        "*.esm.js",
        "*.esm.min.js",
        "*.cjs.js",
        "*.amd.js",
        "ext",
        # Of Tabler: the parts whose images we don't ship, and the readable twins of minified files.
        "tabler-flags*",
        "tabler-marketing*",
        "tabler-payments*",
        "tabler-socials*",
        "tabler.css",
        "tabler.js",
        "tabler-*[!n].css",
        "types",
    ]


class Storage(CompressedManifestStaticFilesStorage):
    """Hashed and compressed names; source maps are neither shipped nor asked for."""

    patterns: ClassVar = tuple(
        (kind, tuple(rule for rule in rules if "sourceMappingURL" not in str(rule)))
        for kind, rules in CompressedManifestStaticFilesStorage.patterns
    )


def collect() -> int:
    """Collect static files if any of them has changed since; return how many there are, or 0 if none has."""
    sources = []
    for finder in get_finders():
        for name, storage in finder.list(Static.ignore_patterns):
            info = Path(storage.path(name)).stat()
            sources.append(f"{getattr(storage, 'prefix', '')}/{name} {info.st_size} {info.st_mtime_ns}")
    fingerprint = hashlib.sha256("\n".join(sorted(sources)).encode()).hexdigest()
    root = Path(settings.STATIC_ROOT)
    stamp = root / ".sources"
    if stamp.exists() and stamp.read_text() == fingerprint:
        return 0
    shutil.rmtree(root, ignore_errors=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    # Last, so that a half-collected folder is collected again.
    stamp.write_text(fingerprint)
    return len(sources)
