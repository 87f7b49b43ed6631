# For the scripts that test: what they have in common. To be sourced.

# Installs Debian packages.
apt_install() (
    sudo=() policy=/usr/sbin/policy-rc.d
    ((EUID == 0)) || sudo=(sudo)
    # One at a time: apt does not wait for another.
    exec {lock}<"${BASH_SOURCE[0]}"
    flock "$lock"
    # Debian starts the services that it installs, unless this says no (101).
    if [[ ! -e $policy ]]; then
        trap '"${sudo[@]}" rm -f "$policy"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        "${sudo[@]}" install -D -m 755 /dev/stdin "$policy" <<<$'#!/bin/sh\nexit 101'
    fi
    "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq --no-install-recommends "$@" >/dev/null
)

# Installs the npm packages that a folder's lock file names.
npm_install() {
    # npm writes its copy of the lock last, so what is older than ours is not complete.
    if [[ ! $1/node_modules/.package-lock.json -nt $1/package-lock.json ]]; then
        (cd "$1" && npm ci --no-audit --no-fund --silent)
    fi
}

# Installs the Python packages that a folder's requirements name, into its folder venv.
venv_install() {
    # The copy of the requirements is written last, so it marks a venv as complete.
    if ! cmp -s "$1/requirements.txt" "$1/venv/complete"; then
        rm -rf "$1/venv"
        python3 -m venv "$1/venv"
        "$1/venv/bin/python" -m pip install --quiet --requirement "$1/requirements.txt"
        cp "$1/requirements.txt" "$1/venv/complete"
    fi
}

# Installs what runs programs for Node.js and Python, where it is missing.
runtimes_install() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

# The path of a Chromium.
find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

# Installs what the documents use as a client, and prints where. Not optimised, and without TLS, which no
# command of theirs needs, it is built within a minute.
websocat_install() {
    local root=$PWD/target/websocat
    [[ $("$root/bin/websocat" --version 2>/dev/null) == "websocat 1.14.1" ]] ||
        cargo install --locked --debug --quiet --root "$root" --target-dir "$root/build" \
            --no-default-features websocat@1.14.1
    printf '%s\n' "$root/bin/websocat"
}
