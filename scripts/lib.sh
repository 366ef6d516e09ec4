# What scripts/test and scripts/demo share. Sourced, never run.

# A checkout that belongs to another user must not break the build.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

# say TEXT: a line for the reader, on stderr, apart from what a script prints.
say() { printf '%s\n' "$*" >&2; }

die() { say "$(basename "$0"): $*"; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

need_go() {
	have go || die "Go is missing: see https://go.dev/dl (go.mod names the version)"
}

# need COMMAND=PACKAGE...: installs what is missing where that is possible (root
# on Debian and its kin). Elsewhere, or when the installation fails, it says
# what is missing and returns 1; what needs it is then skipped, with a reason.
need() {
	local pair missing=() packages=()
	for pair; do
		have "${pair%%=*}" && continue
		missing+=("${pair%%=*}")
		packages+=("${pair#*=}")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" = 0 ] && have apt-get; then
		say "installing ${packages[*]}"
		if { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}"; } </dev/null >/dev/null 2>&1; then
			return 0
		fi
		say "apt-get could not install ${packages[*]}"
	fi
	say "missing: ${missing[*]} (Debian: apt-get install ${packages[*]}); what needs it is skipped"
	return 1
}
