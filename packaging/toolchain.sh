# Sourced by the scripts that build: makes sure that Debian's packages and a Rust toolchain are there.
# What is missing is installed as root or through sudo; where neither is to be had it says what to install.

# need_packages PACKAGE...
need_packages() {
    local absent=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || absent+=("$package")
    done
    [ ${#absent[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "$0: not installed: ${absent[*]}; as root, run: apt-get install ${absent[*]}" >&2
            exit 69
        fi
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${absent[@]}" >&2
}

new_enough() {
    command -v cargo >/dev/null && dpkg --compare-versions "$(cargo --version | cut -d' ' -f2)" ge 1.85
}

# rust_packages [lint]: Debian's packages of cargo 1.85 or newer, with `lint` rustfmt and clippy too. Nothing where they are
# there already; what rustup installed is as good as any.
rust_packages() {
    if new_enough && { [ "${1:-}" != lint ] || command -v cargo-clippy >/dev/null; }; then
        return
    fi
    # Debian 12's own cargo is 0.66; it has a newer one, for its browsers, under another name.
    if [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ]; then
        echo cargo-web rustc-web ${1:+rustfmt-web rust-web-clippy}
    else
        echo cargo rustc ${1:+rustfmt rust-clippy}
    fi
}

# need_rust_and [--lint] PACKAGE...: these packages and Rust.
need_rust_and() {
    local lint=
    if [ "${1:-}" = --lint ]; then
        lint=lint
        shift
    fi
    local rust
    rust=$(rust_packages $lint)
    # Word by word: a list of names.
    # shellcheck disable=SC2086
    need_packages "$@" build-essential $rust
    if ! new_enough; then
        echo "$0: Rust 1.85 or newer is needed, and cargo is $(cargo --version 2>&1)." >&2
        echo "Install it with: apt-get install ${rust:-cargo}   or with rustup, https://rustup.rs" >&2
        exit 69
    fi
}
