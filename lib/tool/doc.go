// Package tool is what every xp2p binary shares: how a command is declared,
// started, interrupted and ended, and how it speaks to people.
//
// It is the only package that knows urfave/cli, lipgloss, signals, exit codes
// and log handlers. A binary's main is one line:
//
//	func main() { tool.Main(command()) }
//
// command returns a [Command] with its flags bound to the fields of an options
// struct; nothing happens there. Run gets a context, an [IO] and the arguments
// that are not flags, and reads as the tool's sentence. Nothing below main
// touches os.Stdin, os.Stdout, os.Stderr or os.Exit.
//
// # Streams
//
// stdout is the product, stderr is for people. A usage error leaves stdout
// empty, so that a typo on the left of a pipe never feeds text to the right of
// it. Binary never goes to a terminal unless "-o -" asks for it.
//
// # Flags
//
// Flags may stand before or after arguments; "--" ends them and "-" is an
// argument. A flag --max-upload can also be given as XP2P_MAX_UPLOAD; the
// command line wins over the environment, which wins over the default. There
// is no configuration file.
//
// # Exit codes
//
//	0    done, or the player closed a live stream
//	1    failed for another reason
//	2    usage: wrong flags or arguments
//	3    finished, but incomplete or inconclusive
//	4    bad input data
//	5    nobody answered
//	130  interrupted by SIGINT, after leaving cleanly
//	143  interrupted by SIGTERM, after leaving cleanly
//
// They are never renumbered; an unknown code means 1. A filter whose reader
// goes away dies of SIGPIPE, as filters do.
//
// # Messages
//
// A failure is "tool: what: why" on stderr, then "tool: hint: …" where there is
// one. With --json there is also one line {"type":"exit_error",…} on stderr.
package tool
