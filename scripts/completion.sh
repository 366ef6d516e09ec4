# Completion of flags and verbs for bash, and for zsh after
# "autoload -U bashcompinit && bashcompinit". Source it:
#
#	. scripts/completion.sh

_xp2p() {
	local words
	words=$("${COMP_WORDS[0]}" "${COMP_WORDS[@]:1:COMP_CWORD-1}" --generate-shell-completion 2>/dev/null) || return
	COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _xp2p xp2p-slice xp2p-seed xp2p-peer xp2p-natprobe xp2p-abr xp2p-bench
