# Debian systems in folders, for the scripts that source this: made by debootstrap, entered by chroot. Both need root.

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

# inside DIR CMD...: runs CMD in the system, with this checkout (and the folders that MOUNTS names) at its own path as working
# directory. The mounts live in a namespace of their own and vanish with the command.
inside() {
  unshare --mount bash -euc '
    root=$1 checkout=$2; shift 2
    mount --bind /dev "$root/dev"; mount -t proc proc "$root/proc"
    for folder in "$checkout" ${MOUNTS:-}; do mkdir -p "$root$folder"; mount --bind "$folder" "$root$folder"; done
    trusted=/etc/ssl/certs/ca-certificates.crt  # also what a proxy of this network signs with
    [ ! -e "$trusted" ] || [ ! -e "$root$trusted" ] || mount --bind "$trusted" "$root$trusted"
    exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PYTHONPATH=/opt/python PIP_CERT=$trusted PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      DEBIAN_FRONTEND=noninteractive TERM="${TERM:-dumb}" bash -c "cd \"\$0\" && exec \"\$@\"" "$checkout" "$@"
  ' inside "$1" "$checkout" "${@:2}"
}

# system_folder DIR: its whole path. Programs there are run, as root too: fails where others than root and this user could have put them.
system_folder() {
  local dir folder mine=('(' -user root -o -user "$(id --user)" ')')
  dir=$(realpath --canonicalize-missing "$1")
  folder=$dir
  while [ "$folder" != / ]; do  # /tmp, for one, keeps what a user makes from the others
    [ ! -e "$folder" ] || [ -n "$(find "$folder" -maxdepth 0 "${mine[@]}" '(' ! -perm /022 -o -perm -1000 ! -path "$dir" ')')" ] ||
      fail "$folder can be written by others; name another"
    folder=$(dirname "$folder")
  done
  echo "$dir"
}

# make_debian DIR SUITE: a minimal system with package lists, for root alone; what it says goes to DIR/log. Fails where DIR holds something else.
make_debian() {
  command -v debootstrap > /dev/null || fail "debootstrap is not installed (on Debian and Ubuntu: apt-get install debootstrap)"
  [ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || fail "$1 exists but is not complete; remove it and run this again"
  mkdir -p "$1"
  echo "making $1; log in $1/log" >&2
  debootstrap --variant=minbase --include=ca-certificates "$2" "$1" > "$1/log" 2>&1 || fail "debootstrap failed: $(tail -n 1 "$1/log")" 3
  # A mirror that lags by some weeks still serves: this is a tool for building, not a machine on the network.
  echo 'Acquire::Check-Valid-Until "false";' > "$1/etc/apt/apt.conf.d/lagging-mirror"
}
