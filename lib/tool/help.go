package tool

import (
	"errors"
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
)

// printHelp writes the synopsis and the flags, with defaults and names in the
// environment, to stdout.
func printHelp(t *IO, root, target *Command, name string, flags []Flag) error {
	b, s := new(strings.Builder), t.OutStyle
	fmt.Fprintf(b, "%s: %s\n\n%s\n", s.Title(name), target.Summary, s.Title("Usage:"))
	if target.Run != nil {
		fmt.Fprintf(b, "  %s\n", strings.TrimSpace(name+" [flags] "+target.Args))
	}
	if target == root {
		w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
		for _, v := range root.Verbs {
			fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(name+" "+v.Name+" [flags] "+v.Args), v.Summary)
		}
		w.Flush()
	}
	fmt.Fprintf(b, "\n%s\n", s.Title("Flags:"))
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range flags {
		short := "    "
		if f.short != "" {
			short = "-" + f.short + ", "
		}
		long := "--" + f.name
		if !f.value.bool {
			long += " " + f.value.word
		}
		text := f.usage
		if d := f.value.start; d != "" && !f.value.bool {
			text += " (default " + d + ")"
		}
		if e := f.env(); e != "" {
			text += " [$" + e + "]"
		}
		fmt.Fprintf(w, "  %s%s\t%s\n", short, long, text)
	}
	w.Flush()
	_, err := io.WriteString(t.Out, b.String())
	return err
}

func verbNames(c *Command) string {
	var names []string
	for _, v := range c.Verbs {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

// printVersion tells the build's own version, which "go install …@v1.2.3"
// stamps as well as a release does.
func printVersion(t *IO, name string) error {
	version, revision, goVersion := "unknown", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = info.Main.Version, info.GoVersion
		if version == "" {
			version = "(devel)"
		}
		dirty := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+changes"
			}
		}
		if revision != "" {
			revision = " " + revision + dirty
		}
	}
	_, err := fmt.Fprintf(t.Out, "%s %s%s %s\n", name, version, revision, goVersion)
	return err
}

// manual is the package comment of the Go source in c.Manual.
func (c *Command) manual() (string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", c.Manual, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	if f.Doc == nil {
		return "", errors.New("doc.go: no package comment")
	}
	return f.Doc.Text(), nil
}

func printManual(t *IO, root *Command) error {
	text, err := root.manual()
	if err != nil {
		return err
	}
	var p comment.Parser
	printer := comment.Printer{TextWidth: 80}
	_, err = t.Out.Write(printer.Text(p.Parse(text)))
	return err
}

// CheckManual holds the manual against the flags, both ways: each flag and verb
// stands in the manual, and each flag that the manual writes at the start of a
// line of an indented block exists. A test of every binary calls it.
func CheckManual(c *Command) error {
	text, err := c.manual()
	if err != nil {
		return err
	}
	var shared sharedOptions
	own := slices.Clone(c.Flags)
	var errs []error
	for _, v := range c.Verbs {
		own = append(own, v.Flags...)
		if !mentions(text, v.Name) {
			errs = append(errs, fmt.Errorf("the manual does not mention the verb %s", v.Name))
		}
	}
	for _, f := range own {
		if !mentions(text, "--"+f.name) {
			errs = append(errs, fmt.Errorf("the manual does not mention --%s", f.name))
		}
	}
	all := append(own, shared.flags()...)
	for _, name := range flagsIn(text, c.Name) {
		if _, ok := findFlag(all, strings.TrimLeft(name, "-")); !ok {
			errs = append(errs, fmt.Errorf("the manual mentions %s, which does not exist", name))
		}
	}
	return errors.Join(errs...)
}

// mentions reports whether word stands in text on its own.
func mentions(text, word string) bool {
	for i := 0; ; {
		j := strings.Index(text[i:], word)
		if j < 0 {
			return false
		}
		i += j + len(word)
		if i == len(text) || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", rune(text[i])) {
			return true
		}
	}
}

// flagsIn lists the flags that a manual ascribes to the tool: those that begin
// a line, and those of example commands in which the tool stands.
func flagsIn(text, tool string) (names []string) {
	add := func(word string) {
		word, _, _ = strings.Cut(strings.Trim(word, "[]|,.;:()'\"`"), "=")
		if len(word) > 1 && word[0] == '-' && word != "--" && !slices.Contains(names, word) {
			names = append(names, word)
		}
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0][0] == '-' {
			add(words[0])
			if strings.HasSuffix(words[0], ",") && len(words) > 1 {
				add(words[1])
			}
			continue
		}
		inTool := false
		for _, w := range words {
			switch {
			case w == "|" || w == ">" || w == "&&" || w == ";" || w == "#":
				inTool = false
			case w == tool:
				inTool = true
			case inTool && line[0] == '\t':
				add(w)
			}
		}
	}
	return names
}

// completionFlag is what the completion scripts append to what was typed.
const completionFlag = "--generate-shell-completion"

// complete prints what may follow args, one word a line.
func complete(root *Command, args []string, w io.Writer) {
	var shared sharedOptions
	target := root.verb(args)
	if target == root && !slices.ContainsFunc(args, func(a string) bool { return !isOption(a) }) {
		for _, v := range root.Verbs {
			fmt.Fprintln(w, v.Name)
		}
	}
	for _, f := range append(slices.Clip(target.Flags), shared.flags()...) {
		fmt.Fprintln(w, "--"+f.name)
	}
}
