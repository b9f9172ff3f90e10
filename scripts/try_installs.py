#!/usr/bin/env python3
"""Ways of installing and of starting the package, each tried in a folder and a home of its own: which of them play, and what the others
say. `WORD...`: only those whose names have one of these words.

Needs a wheel for this Python (scripts/make_wheel), .venv (make), root for some, and pip's package index. Exits with 1 where one does not
do what is expected of it."""
import argparse
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
PLAYS = r"^bestmove [a-h]"
SENTENCE = r"\A(lc0rocm: [^\n]+\n)?code 2\Z"  # all that is said, and the exit code

# Words for the lines below. $V is an environment in which the wheel is installed, made once.
PRELUDE = r"""
play() { printf 'isready\ngo nodes 10\nwait\nquit\n' | "$@" | grep ^bestmove; }
benches() { "$@" | grep '^Nodes searched' && echo bestmove a; }
code() { "$@" 2>&1 || echo "code $?"; }
pip() { "$1/bin/python" -m pip install --quiet --root-user-action=ignore "${@:2}"; }
nobody() { chmod -R a+rX "$PWD" "$HOME"; setpriv --reuid=12345 --regid=12345 --clear-groups "$@"; }
apart() { unshare --mount sh -c "$1; shift; exec \"\$@\"" sh "$@"; }
sdist() { (cd $CHECKOUT && PATH=$CHECKOUT/.venv/bin:$PATH .venv/bin/python -c 'import mesonpy, sys; mesonpy.build_sdist(sys.argv[1])' $OLDPWD > /dev/null); }
python() { command $V/bin/python -c 'import chess, lc0rocm
def first_move(_=0): print("bestmove", next(iter(lc0rocm.Network().policy(chess.Board()))), flush=True)
'"$1"; }
deps="numpy chess rich protobuf"
"""
INSTALLS = {
    "venv": "$PYTHON -m venv e && pip e $WHEEL && play e/bin/lc0rocm",
    "venv over the system's packages": "$PYTHON -m venv --system-site-packages e && pip e $WHEEL && play e/bin/lc0rocm",
    "venv of copies": "$PYTHON -m venv --copies e && pip e $WHEEL && play e/bin/lc0rocm",
    "venv that was moved": "$PYTHON -m venv e && pip e $WHEEL && mv e f && play f/bin/python -m lc0rocm",
    "venv behind a symbolic link": "$PYTHON -m venv e && ln -s e f && pip f $WHEEL && play f/bin/lc0rocm",
    "path with blanks and letters": "$PYTHON -m venv 'e é 象' && pip 'e é 象' $WHEEL && play 'e é 象/bin/lc0rocm'",
    "pip --python": "$PYTHON -m venv --without-pip e && $V/bin/pip --python e/bin/python install -q $WHEEL && play e/bin/lc0rocm",
    "pip --target": "pip $V --target t $WHEEL && PYTHONPATH=$PWD/t play $PYTHON -m lc0rocm",
    "pip --prefix": "pip $V --ignore-installed --prefix p $WHEEL && PYTHONPATH=$(echo $PWD/p/lib/python*/site-packages) play $PYTHON -m lc0rocm",
    "pip --user": "PIP_BREAK_SYSTEM_PACKAGES=1 $PYTHON -m pip install -q --user $WHEEL && play ~/.local/bin/lc0rocm",
    "pip --no-compile, by a read-only user": "$PYTHON -m venv e && pip e --no-compile $WHEEL && play nobody env -u HOME $PWD/e/bin/lc0rocm",
    "pip without an index": "$V/bin/pip download -q -d w $WHEEL && $PYTHON -m venv e && pip e --no-index --find-links w lc0rocm && play e/bin/lc0rocm",
    "pip, again and over itself": "$PYTHON -m venv e && pip e $WHEEL && pip e $WHEEL && pip e --force-reinstall --no-deps $WHEEL && play e/bin/lc0rocm",
    "pipx": "$V/bin/pip install -q pipx && $V/bin/pipx install --python $PYTHON $WHEEL > /dev/null && play ~/.local/bin/lc0rocm",
    "uv tool": "$V/bin/pip install -q uv && $V/bin/uv tool install -q --python $PYTHON $WHEEL && play ~/.local/bin/lc0rocm",
    "uv venv": "$V/bin/pip install -q uv && $V/bin/uv venv -q --python $PYTHON e && $V/bin/uv pip install -q --python e $WHEEL && play e/bin/lc0rocm",
    "uvx, never installed": "$V/bin/pip install -q uv && play $V/bin/uvx -q --python $PYTHON --from $WHEEL lc0rocm",
    "virtualenv": "$V/bin/pip install -q virtualenv && $V/bin/virtualenv -q e && pip e $WHEEL && play e/bin/lc0rocm",
    "wheel unpacked by hand": "$PYTHON -m zipfile -e $WHEEL t && pip $V --target t $deps && PYTHONPATH=$PWD/t play $PYTHON -m lc0rocm",
    "umask 077": "umask 077; $PYTHON -m venv e && pip e $WHEEL && play e/bin/lc0rocm",
    "uninstall": "$PYTHON -m venv e && pip e $WHEEL && play e/bin/lc0rocm && e/bin/pip uninstall -qy lc0rocm && test -z \"$(find e -name '*lc0rocm*')\"",
    "sdist": "sdist && $PYTHON -m venv e && pip e $PWD/lc0rocm-*.tar.gz && play e/bin/lc0rocm",
    "git+file": "$PYTHON -m venv e && pip e git+file://$PWD/clone && play e/bin/lc0rocm",
    "editable": "$PYTHON -m venv e && $PYTHON clone/scripts/requirements.py requires dependencies > r && pip e 'pip>=23.1' -r r && "
                "PATH=$PWD/e/bin:$PATH pip e --no-build-isolation -e clone && play e/bin/lc0rocm",
    "make in a path with blanks and letters": "mv clone 'c é 象' && cd 'c é 象' && benches make bench && make clean && "
                                              "test -z \"$(git status --porcelain --ignored)\"",
    "make in a copied and a renamed clone": "cd clone && make .venv/.tools && cp -r ../clone ../copy && mv ../clone ../new && cd ../copy && "
                                            "benches make bench && ! grep -r \"${PWD%copy}\\(new\\|clone\\)\" .venv/bin",
    "make behind a symbolic link": "ln -s clone link && cd link && benches make bench",
}
STARTS = {
    "python -m": "play $V/bin/python -m lc0rocm",
    "python -I": "play $V/bin/python -I -m lc0rocm",
    "python -OO -bb -W error": "play $V/bin/python -OO -bb -W error -m lc0rocm",
    "python -X dev": "play $V/bin/python -X dev -m lc0rocm",
    "python -X utf8=0 in the locale C": "LC_ALL=C PYTHONCOERCECLOCALE=0 play $V/bin/python -X utf8=0 -m lc0rocm",
    "link in another folder": "ln -s $V/bin/lc0rocm engine && play ./engine",
    "empty environment": "play env -i $V/bin/lc0rocm",
    "HOME unset": "play env -u HOME $V/bin/lc0rocm",
    "user without an entry": "play nobody env -u HOME $V/bin/lc0rocm",
    "home of another": "play nobody env HOME=/root $V/bin/lc0rocm",
    "home that cannot be written": "mkdir h && chmod 555 h && play nobody env HOME=$PWD/h $V/bin/lc0rocm",
    "folder that is gone": "mkdir gone && cd gone && rmdir $PWD && play $V/bin/lc0rocm",
    "files named like modules in the folder": "touch chess.py numpy.py random.py && play $V/bin/lc0rocm",
    "one processor": "play taskset -c 0 $V/bin/lc0rocm",
    "16 descriptors": "ulimit -n 16 && play $V/bin/lc0rocm",
    "no core, small stack": "ulimit -c 0 -s 256 && play $V/bin/lc0rocm",
    "OMP_NUM_THREADS=1": "OMP_NUM_THREADS=1 play $V/bin/lc0rocm",
    "OMP_NUM_THREADS of nonsense": "OMP_NUM_THREADS=x OMP_PROC_BIND=true play $V/bin/lc0rocm",
    "no /tmp": "play apart 'mount -t tmpfs -o ro none /tmp' $V/bin/lc0rocm",
    "no /proc": "play apart 'mount -t tmpfs none /proc' $V/bin/lc0rocm",
    "no /dev/shm": "play apart 'mount -t tmpfs -o ro none /dev/shm' $V/bin/lc0rocm",
    "another's library on LD_LIBRARY_PATH": "ln -s /lib/*/libgomp.so.1 . && LD_LIBRARY_PATH=$PWD play $V/bin/lc0rocm",
    "libraries in the working folder": "touch libgomp.so.1 libdnnl.so.3 liblc0rocm.so && play $V/bin/lc0rocm",
    "standard error closed": "play $V/bin/lc0rocm 2>&-",
    "from a thread": "python 'import threading; t = threading.Thread(target=first_move); t.start(); t.join()'",
    "beside NumPy's threads": "python 'import numpy as n; a = n.ones((500, 500)); a @ a; first_move(); a @ a; first_move()'",
    "in processes that fork": "python 'import multiprocessing as m; m.get_context(\"fork\").Pool(2).map(first_move, [1, 2, 3])'",
}
REFUSALS = {
    "standard output closed": ("($V/bin/lc0rocm bench >&-) 2> said; code cat said", r"\Alc0rocm: standard output is closed[^\n]+\Z"),
    "full disk": ("$V/bin/lc0rocm backends > /dev/full || echo code $?", SENTENCE),
    "full disk, UCI": ("echo uci | $V/bin/lc0rocm > /dev/full || echo code $?", SENTENCE),
    "full disk, bench": ("$V/bin/lc0rocm bench --nodes=2 --num-positions=1 2>&1 > /dev/full || echo code $?", r"cannot write.*\ncode 2\Z"),
    "too little memory": ("ulimit -v 300000; code $V/bin/lc0rocm bench --nodes=2 --num-positions=1", r"lc0rocm: [^\n]+\n.*code 2\Z"),
    "packages missing": ("$PYTHON -m venv e && pip e --no-deps $WHEEL && code e/bin/lc0rocm bench", SENTENCE),
    "Python's site switched off": ("code $V/bin/python -S -m lc0rocm", r"No module named lc0rocm"),
    "wheel as a zip file": ("PYTHONPATH=$WHEEL code $V/bin/python -S -m lc0rocm backends", SENTENCE),
    "zipapp": ("pip $V --target t $WHEEL && $PYTHON -m zipapp t -m lc0rocm.__main__:main -o a.pyz && code $PYTHON a.pyz backends",
                r"\Alc0rocm: [^\n]+\Z"),  # a zipapp drops the exit code
    "folder mounted noexec": ("pip $V --target t $WHEEL && PYTHONPATH=$PWD/t code apart 'mount --bind t t; mount -o remount,bind,noexec t' "
                              "$PYTHON -m lc0rocm backends", SENTENCE),
    "editable, isolated": ("$PYTHON -m venv e && code pip e -e clone", "editable install needs its build tools to stay.*code 1\n?\\Z"),
    "editable, isolated, by uv": ("$PYTHON -m venv e && pip e uv && code e/bin/uv pip install --quiet --python e/bin/python -e clone",
                                  "editable install needs its build tools to stay"),
    "another Python's wheel": ("cp $WHEEL $(basename $WHEEL | sed 's/cp3[0-9]*/cp39/g') && code pip $V ./*.whl", "not a supported wheel"),
    "another C library's wheel": ("cp $WHEEL $(basename $WHEEL | sed 's/manylinux_2_[0-9]*/musllinux_1_2/g') && code pip $V ./*.whl",
                                  "not a supported wheel"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    words = parser.parse_args().words
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    wheel = next(iter(sorted(CHECKOUT.glob(f"dist/lc0rocm-*-{tag}-*.whl"))), None)
    if not wheel:
        sys.exit(f"there is no wheel for this Python in dist: scripts/make_wheel {sys.executable}")
    cases = {name: (code, PLAYS) for name, code in (INSTALLS | STARTS).items()} | REFUSALS
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lc0rocm-", dir="/var/tmp") as root:
        kept = pathlib.Path(root) / "kept"
        kept.parent.chmod(0o755)
        subprocess.run([sys.executable, "-m", "venv", kept], check=True)
        subprocess.run([kept / "bin/python", "-m", "pip", "install", "--quiet", "pip>=23.1", wheel], check=True)
        for name, (code, wanted) in cases.items():
            if words and not any(word in name for word in words):
                continue
            said, as_wanted = attempt(pathlib.Path(root), kept, wheel, code, wanted)
            failed += not as_wanted
            print("as expected" if as_wanted else "NOT AS EXPECTED", "|", name, "|", (said.strip() or "-").splitlines()[-1][:200], flush=True)
            if not as_wanted:
                print(said, flush=True)
    sys.exit(1 if failed else 0)


def attempt(root, kept, wheel, code, wanted):
    """What a shell says that runs `code`, and whether that is what is wanted."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        pathlib.Path(folder).chmod(0o755)
        here = pathlib.Path(folder) / "here"
        home = pathlib.Path(folder) / "home"
        here.mkdir()
        home.mkdir()
        if "clone" in code:
            subprocess.run(["git", "clone", "--quiet", CHECKOUT, here / "clone"], check=True)
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "PYTHON": sys.executable, "WHEEL": str(wheel), "V": str(kept),
                       "CHECKOUT": str(CHECKOUT), "PIP_CACHE_DIR": str(root / "cache"), "UV_CACHE_DIR": str(root / "uv"),  # fetched once
                       "SSL_CERT_FILE": ssl.get_default_verify_paths().cafile or ""}
        done = subprocess.run(["bash", "-uo", "pipefail", "-c", PRELUDE + code], cwd=here, env=environment, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=1800)
        subprocess.run(["chmod", "-R", "u+w", folder])
        fine = re.search(wanted, done.stdout.strip(), re.M if wanted == PLAYS else re.S) and (wanted != PLAYS or done.returncode == 0)
        return done.stdout, bool(fine)


if __name__ == "__main__":
    main()
