package tool

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// The flag package stops at the first argument, so "xp2p-peer URL --http …"
// would lose its flag without a word. arrange sorts a command line into
// options, each in the one form --name=value, and the arguments that are left.
// "--" ends the options; "-" is an argument.
func arrange(root, target *Command, flags []Flag, args []string) (options, rest []string, err error) {
	verbSeen := target == root
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return options, append(rest, args...), nil
		}
		if !isOption(arg) {
			if !verbSeen {
				verbSeen = true // the verb itself
				continue
			}
			rest = append(rest, arg)
			continue
		}
		if letters, ok := splitLetters(flags, arg); ok {
			args = append(letters, args...)
			continue
		}
		name, val, hasVal := strings.Cut(undashed(arg), "=")
		f, ok := findFlag(flags, name)
		switch {
		case !ok:
			return nil, nil, unknownFlag(root, target, flags, arg, name)
		case f.value.bool && !hasVal:
			options = append(options, "--"+f.name)
			continue
		case !hasVal:
			if len(args) == 0 || strings.HasPrefix(args[0], "--") {
				return nil, nil, Usage("--%s: a value is missing", f.name).Hint("--%s=%s", f.name, f.value.word)
			}
			val, args = args[0], args[1:]
		}
		options = append(options, "--"+f.name+"="+val)
	}
	return options, rest, nil
}

// verb is the command that args are meant for: the verb that the first
// argument names, else c itself.
func (c *Command) verb(args []string) *Command {
	var shared sharedOptions
	all := shared.flags()
	all = append(all, c.Flags...)
	for _, v := range c.Verbs {
		all = append(all, v.Flags...)
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			break
		}
		if isOption(arg) {
			name, _, hasVal := strings.Cut(undashed(arg), "=")
			if f, ok := findFlag(all, name); ok && !f.value.bool && !hasVal {
				i++ // its value
			}
			continue
		}
		for _, v := range c.Verbs {
			if v.Name == arg {
				return v
			}
		}
		break
	}
	return c
}

// undashed takes the one or two dashes off an option.
func undashed(arg string) string { return strings.TrimPrefix(arg[1:], "-") }

func isOption(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func findFlag(flags []Flag, name string) (Flag, bool) {
	i := slices.IndexFunc(flags, func(f Flag) bool { return name != "" && (f.name == name || f.short == name) })
	if i < 0 {
		return Flag{}, false
	}
	return flags[i], true
}

// splitLetters takes -vv and -qo FILE and -oFILE apart.
func splitLetters(flags []Flag, arg string) (parts []string, ok bool) {
	if len(arg) < 3 || arg[1] == '-' {
		return nil, false
	}
	name, _, _ := strings.Cut(arg[1:], "=")
	if _, long := findFlag(flags, name); long {
		return nil, false
	}
	for i := 1; i < len(arg); i++ {
		f, known := findFlag(flags, arg[i:i+1])
		switch {
		case !known:
			return nil, false
		case f.value.bool:
			parts = append(parts, "--"+f.name)
		case i+1 == len(arg):
			return append(parts, "-"+f.short), true
		default:
			return append(parts, "--"+f.name+"="+strings.TrimPrefix(arg[i+1:], "=")), true
		}
	}
	return parts, true
}

// unknownFlag says which flag was probably meant, or whose it is.
func unknownFlag(root, target *Command, flags []Flag, arg, name string) error {
	e := Usage("unknown flag %s", strings.SplitN(arg, "=", 2)[0])
	for _, c := range append([]*Command{root}, root.Verbs...) {
		if _, ok := findFlag(c.Flags, name); ok && c != target {
			whose := root.Name
			if c != root {
				whose += " " + c.Name
			}
			return e.Hint("that is a flag of %s", whose)
		}
	}
	best, bestDistance := "", 3
	for _, f := range flags {
		if d := editDistance(name, f.name); d < bestDistance {
			best, bestDistance = f.name, d
		}
	}
	if best != "" {
		return e.Hint("did you mean --%s?", best)
	}
	return e.Hint("%s --help lists the flags", strings.TrimSpace(root.Name))
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

var ofFlag = regexp.MustCompile(` for (?:flag )?-*([a-z][a-z0-9-]*: )`)

// usageError puts what the flag package says into the house's words.
func usageError(err error, name string) error {
	msg := strings.Replace(err.Error(), "invalid boolean value", "invalid value", 1)
	if at := ofFlag.FindStringSubmatchIndex(msg); at != nil {
		msg = msg[:at[0]] + " for --" + msg[at[2]:]
	}
	return Usage("%s", msg).Hint("%s --help lists the flags", name)
}

// asksForJSON reports whether the command line says --json, which also counts
// when the rest of it could not be understood.
func asksForJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--json", "-json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	return os.Getenv("XP2P_JSON") == "true"
}
